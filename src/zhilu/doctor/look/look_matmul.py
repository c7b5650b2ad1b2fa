"""Multiply matrices on the best device there is, check the product, time it. Prints one line of JSON.

GFLOP/s counts 2 n^3 operations for n x n matrices in float32; the best of several rounds after a warm-up.
"""

import json
import time

SIZES = {"cuda": 4096, "mps": 2048, "cpu": 1024}
SECONDS = 1.5  # measure about this long


def main() -> None:
    import torch

    torch.manual_seed(0)
    has_mps = bool(getattr(torch.backends, "mps", None)) and torch.backends.mps.is_available()
    device = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    size = SIZES[device]
    left = torch.randn(size, size, device=device)
    right = torch.randn(size, size, device=device)

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()
        elif device == "mps":
            torch.mps.synchronize()

    product = left @ right
    wait()
    # The first rows once more in float64 on the CPU: a broken kernel is fast and wrong.
    exact = left[:16].double().cpu() @ right.double().cpu()
    error = float(((product[:16].double().cpu() - exact).abs().max() / exact.abs().max()).item())

    best, rounds, began = float("inf"), 0, time.perf_counter()
    while rounds < 3 or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        torch.matmul(left, right, out=product)
        wait()
        best = min(best, time.perf_counter() - start)
        rounds += 1
    print(
        json.dumps(
            {
                "version": torch.__version__,
                "cuda": torch.version.cuda,
                "device": device,
                "name": torch.cuda.get_device_name(0) if device == "cuda" else device,
                "threads": torch.get_num_threads(),
                "size": size,
                "relative_error": error,
                "gflops": 2 * size**3 / best / 1e9,
            }
        )
    )


if __name__ == "__main__":
    main()
