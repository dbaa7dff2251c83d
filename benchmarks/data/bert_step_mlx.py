"""A training step of BERT in MLX, compiled as ``smalti.training.loop`` compiles it, in a process of its own.

Its argument is a folder that holds untrained weights. It prints the loss of one batch without dropout; then, for each
number of steps on stdin, the wall and CPU seconds of one of them.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from smalti.compute import prepare_blas

BATCH, LENGTH, WORDS = 32, 32, 24  # as in bert_step_torch.py


def main(folder: Path) -> None:
    prepare_blas()
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx import nn

    from smalti.compute.kernels import compiling_alone
    from smalti.models.huggingface import load_pretrained

    mx.random.seed(0)
    model, _ = load_pretrained(folder)
    rng = np.random.default_rng(0)
    ids = mx.array(rng.integers(0, model.config.vocab_size, (BATCH, LENGTH)))
    mask = mx.broadcast_to((mx.arange(LENGTH)[None] < WORDS).astype(mx.int32), ids.shape)
    labels = mx.array(rng.integers(0, 2, BATCH))

    def loss(ids: mx.array, mask: mx.array, labels: mx.array) -> mx.array:
        return nn.losses.cross_entropy(model(ids, mask), labels, reduction="mean")

    print(json.dumps({"loss": loss(ids, mask, labels).item()}), flush=True)
    model.train()
    optimizer = optim.AdamW(1e-4, weight_decay=0.01)
    optimizer.init(model.trainable_parameters())
    loss_and_gradient = nn.value_and_grad(model, loss)

    def step(*batch: mx.array) -> mx.array:
        value, gradient = loss_and_gradient(*batch)
        optimizer.update(model, gradient)
        return value

    state = [model.state, optimizer.state, mx.random.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    with compiling_alone():
        mx.eval(compiled(ids, mask, labels), state)
    for steps in map(int, sys.stdin):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            mx.eval(compiled(ids, mask, labels), model.state, optimizer.state)
        taken = {"wall_s": (time.perf_counter() - wall) / steps, "cpu_s": (time.process_time() - cpu) / steps}
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
