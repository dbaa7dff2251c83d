"""How other loaders read the same arrays; run by the Python of an environment that has them, prints one JSON object.

``python loader_peers.py PEER FILE.npy``: the rows of a mapped array in random order, in batches of 32, as arrays of
numpy or torch; floats are normalised. Each is used in the quickest way found for it.
"""

import json
import sys
import time

import numpy as np

BATCH = 32
EPOCHS = 3  # the best counts: what else the machine does can only make one slower
MEAN, STD = 0.5, 0.29


def normalised(rows):
    if rows.dtype == np.float32:
        rows -= np.float32(MEAN)
        rows *= np.float32(1 / STD)
    return rows


def torch_per_sample(rows):
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Rows(Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return torch.from_numpy(normalised(np.array(rows[index])))

    return DataLoader(Rows(), batch_size=BATCH, shuffle=True)


def torch_getitems(rows):
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Rows(Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return self.__getitems__([index])[0]

        def __getitems__(self, indices):
            return torch.from_numpy(normalised(rows[indices]))

    return DataLoader(Rows(), batch_size=BATCH, shuffle=True, collate_fn=lambda batch: batch)


def mlx_data(rows):
    import mlx.data as dx

    numbers = dx.buffer_from_vector([{"x": np.array(n)} for n in range(len(rows))])
    batches = numbers.shuffle().batch(BATCH).key_transform("x", lambda indices: normalised(rows[indices]))
    return (batch["x"] for batch in batches.to_stream())


def grain(rows):
    import grain

    class Rows:
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return normalised(np.array(rows[index]))

    batches = grain.MapDataset.source(Rows()).shuffle(seed=0).batch(BATCH)
    return batches.to_iter_dataset(grain.ReadOptions(num_threads=0))


PEERS = {peer.__name__: peer for peer in (torch_per_sample, torch_getitems, mlx_data, grain)}


def main(name, file):
    rows = np.asarray(np.load(file, mmap_mode="r"))
    loader = PEERS[name]
    rows[:: max(1, 4096 // rows[0].nbytes)].sum()  # every page is mapped before the clock runs
    seconds, cpu_seconds = [], []
    for _ in range(EPOCHS):
        start, cpu_start = time.perf_counter(), time.process_time()
        count = sum(len(batch) for batch in loader(rows))
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
        if count != len(rows):
            raise SystemExit(f"{name} gave {count} rows of {len(rows)}")
    print(json.dumps({"samples_per_s": len(rows) / min(seconds), "samples_per_cpu_s": len(rows) / min(cpu_seconds)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
