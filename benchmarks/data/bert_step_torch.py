"""A training step of BERT in torch: the real ``transformers``, one thread; run by the Python that has it, not imported.

Its arguments are a folder for the untrained weights and the configuration in JSON. It answers as
``benchmarks.data.bert_step_mlx`` does.
"""

import json
import sys
import time

import numpy as np
import torch
import transformers

BATCH, LENGTH, WORDS = 32, 32, 24  # sequences, tokens of each, and how many of them are no padding


def main(folder: str, config: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**json.loads(config)))
    model.save_pretrained(folder)
    rng = np.random.default_rng(0)
    ids = torch.tensor(rng.integers(0, model.config.vocab_size, (BATCH, LENGTH)))
    mask = (torch.arange(LENGTH)[None] < WORDS).long().expand(BATCH, -1)
    labels = torch.tensor(rng.integers(0, 2, BATCH))
    with torch.no_grad():
        loss = model.eval()(input_ids=ids, attention_mask=mask, labels=labels).loss.item()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.01)
    print(json.dumps({"loss": loss}), flush=True)
    for steps in map(int, sys.stdin):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        taken = {"wall_s": (time.perf_counter() - wall) / steps, "cpu_s": (time.process_time() - cpu) / steps}
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
