"""The figures of papers, measured small on this machine. Each function returns a run's result: the pictures, and what must hold.

They drive the lessons and what their proofs measure with; PyTorch is imported by those that need it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.internals.lessons import lesson2_kv_cache, lesson3_flash_attention, lesson5_paged
from zhilu.internals.papers.figures_parts import bars, line_chart
from zhilu.internals.result import Result, Series, at_least, at_most, worst
from zhilu.messages import T

__all__ = ["deepseek_v2", "flash", "flash2", "flash3", "llama", "paged", "qlora", "rope"]

Array = npt.NDArray[np.float32]


def rope() -> Result:
    from zhilu.engine.observe import rotate

    size, theta = 128, 10_000.0
    frequencies = theta ** -(np.arange(0, size, 2) / size)
    distances = list(range(0, 257, 4))
    # Equation 37: the mean size of the partial sums of the turned pairs bounds the score.
    bound = [float(np.abs(np.cumsum(np.exp(1j * d * frequencies))).mean()) for d in distances]
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((1, 1, size)).astype(np.float32) for _ in range(2))

    def score(m: int, n: int) -> float:
        turned = [rotate(x, (np.array([[at]]) * frequencies).astype(np.float32)) for x, at in ((q, m), (k, n))]
        return float((turned[0] * turned[1]).sum())

    off = worst(abs(score(3 + j, 40 + j) - score(3, 40)) / 10 for j in (1, 50, 500))
    chart = line_chart(
        T("Bound of the score by distance", "得分上界随距离的变化"),
        T("distance", "距离"),
        T("relative upper bound", "相对上界"),
        [Series(name=T("d = 128", "d = 128"), xs=[float(d) for d in distances], ys=bound)],
    )
    return Result(
        task="rope",
        answer=0,
        charts=[chart],
        checks=[
            at_most(
                T(
                    "score when both are moved by up to 500 places, changed by",
                    "两者一起移动最多 500 个位置，得分的变化",
                ),
                off,
                1e-3,
            ),
            at_most(T("bound at 256 over that at 0", "距离 256 处的上界与 0 处之比"), bound[-1] / bound[0], 0.5),
        ],
    )


def flash() -> Result:
    from zhilu.internals.proofs.flash_attention import peak

    lengths = (256, 512, 1024, 2048)
    whole, tiled = ([peak(attend, n) / 2**20 for n in lengths] for attend in (lesson3_flash_attention.exact, _tiled))
    xs = [float(n) for n in lengths]
    chart = line_chart(
        T("Working memory", "工作内存"),
        T("tokens", "token 数"),
        T("MiB", "MiB"),
        [
            Series(name=T("whole matrix", "完整矩阵"), xs=xs, ys=whole),
            Series(name=T("in tiles", "分块"), xs=xs, ys=tiled),
        ],
        log=True,
    )
    return Result(
        task="flashattention",
        answer=0,
        charts=[chart],
        checks=[
            at_least(T("twice the length: the matrix needs", "长度加倍：完整矩阵需要"), whole[-1] / whole[-2], 3),
            at_most(T("twice the length: the tiles need", "长度加倍：分块需要"), tiled[-1] / tiled[-2], 2.5),
        ],
    )


def _tiled(q: Array, k: Array, v: Array) -> Array:
    return lesson3_flash_attention.forward(q, k, v)[0]


def flash2() -> Result:
    lesson: Any = lesson3_flash_attention
    lengths, block = (64, 128, 256, 512, 1024), 64
    computed = []
    kept = lesson._scores
    for n in lengths:
        seen = [0]

        def counting(*given: Any, seen: list[int] = seen) -> Any:
            seen[0] += 1
            return kept(*given)

        lesson._scores = counting
        try:
            x = np.random.default_rng(n).standard_normal((1, n, 16), dtype=np.float32)
            lesson.forward(x, x, x, block=block)
        finally:
            lesson._scores = kept
        computed.append(seen[0])
    all_tiles = [(n // block) ** 2 for n in lengths]
    xs = [float(n) for n in lengths]
    chart = line_chart(
        T("Tiles of 64 × 64", "64 × 64 的小块"),
        T("tokens", "token 数"),
        T("tiles", "块数"),
        [
            Series(name=T("all there are", "全部"), xs=xs, ys=[float(n) for n in all_tiles]),
            Series(
                name=T("computed: none lies in the future", "实际计算：跳过未来的"),
                xs=xs,
                ys=[float(n) for n in computed],
            ),
        ],
    )
    once, each = lengths[-1], computed[-1] * block
    return Result(
        task="flashattention-2",
        answer=0,
        charts=[chart],
        tables=[
            bars(
                T("Divisions of a row by its sum, 1,024 tokens", "按行除以和的次数（1024 个 token）"),
                (
                    (T("once, at the end", "最后一次"), f"{once:,}"),
                    (T("after every tile, as before", "每块一次（以前）"), f"{each:,}"),
                ),
            )
        ],
        checks=[at_most(T("tiles computed, of all", "计算的块占全部"), computed[-1] / all_tiles[-1], 0.6)],
    )


def flash3() -> Result:
    """8-bit attention on normal numbers of which one in a thousand is ten times as wide (the paper's section 4.3)."""
    import torch

    torch.manual_seed(0)
    n, size, block = 512, 128, 64

    def draw() -> torch.Tensor:
        return torch.randn(n, size) + torch.randn(n, size) * 10 * (torch.rand(n, size) < 0.001)

    q, k, v = draw(), draw(), draw()

    def eight(x: torch.Tensor, rows: int) -> torch.Tensor:
        """There and back, with one scale for so many rows."""
        parts = []
        for piece in x.split(rows):
            scale = piece.abs().max() / 448  # the largest number of this type
            parts.append((piece / scale).to(torch.float8_e4m3fn).float() * scale)
        return torch.cat(parts)

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q.double() @ k.double().T * size**-0.5).softmax(-1) @ v.double()

    turn = torch.linalg.qr(torch.randn(size, size))[0]
    right = attention(q, k, v)
    ways = {
        T("one scale for all", "整体一个缩放"): attention(eight(q, n), eight(k, n), eight(v, n)),
        T("a scale for each block", "每块一个缩放"): attention(eight(q, block), eight(k, block), eight(v, block)),
        T("and turned first", "并且先旋转"): attention(eight(q @ turn, block), eight(k @ turn, block), eight(v, block)),
    }
    errors = [float((found - right).square().mean().sqrt()) for found in ways.values()]
    same_scores = float(((q @ turn) @ (k @ turn).T - q @ k.T).abs().max() / (q @ k.T).abs().max())
    return Result(
        task="flashattention-3",
        answer=0,
        tables=[
            bars(
                T("Error of 8-bit attention (root mean square)", "8 位注意力的误差（均方根）"),
                [(name, f"{e:.2e}") for name, e in zip(ways, errors, strict=True)],
            )
        ],
        checks=[
            at_most(T("turning changes no score (relative)", "旋转不改变得分（相对）"), same_scores, 1e-5),
            at_least(
                T("error of one scale over that of blocks and turning", "整体缩放与分块加旋转的误差之比"),
                errors[0] / errors[2],
                1.3,
            ),
        ],
    )


def paged() -> Result:
    rng, longest, block = np.random.default_rng(3), 2048, 16
    lengths = [int(n) for n in np.clip(rng.lognormal(5.3, 0.9, 200), 8, longest)]
    used = sum(lengths)
    shares = {
        T("a row of the longest length each", "每个占最长的一行"): used / (longest * len(lengths)),
        T("rows of the next power of two", "占下一个二的幂"): used / sum(1 << (n - 1).bit_length() for n in lengths),
        T("blocks of 16", "16 个一块"): 1 - lesson5_paged.waste(lengths, block),
    }
    values = list(shares.values())
    sizes = (1, 4, 16, 32, 64, 128, 256)
    chart = line_chart(
        T("Waste by the size of a block", "浪费随块大小的变化"),
        T("tokens in a block", "块的大小"),
        T("share of memory", "内存比例"),
        [
            Series(
                name=T("wasted", "浪费"),
                xs=[float(n) for n in sizes],
                ys=[lesson5_paged.waste(lengths, n) for n in sizes],
            )
        ],
    )
    return Result(
        task="pagedattention",
        answer=0,
        charts=[chart],
        tables=[
            bars(
                T("Share of memory that holds tokens, 200 answers", "真正存着 token 的内存（200 个回答）"),
                [(name, f"{share:.1%}") for name, share in shares.items()],
            )
        ],
        checks=[
            at_most(T("wasted in blocks of 16", "16 个一块的浪费"), 1 - values[2], 0.04),
            at_least(
                T("times as many tokens in the same memory", "同样内存能放的 token 倍数"), values[2] / values[0], 2
            ),
        ],
    )


def deepseek_v2() -> Result:
    # DeepSeek 67B: 95 layers, 8 key heads of 128, 16 bits. V2: 60 layers, a latent of 512 and a key of 64; 6 bits on average (section 3.2.3).
    older = lesson2_kv_cache.bytes_per_token(95, 8, 128, 2)
    newer = lesson2_kv_cache.latent_bytes_per_token(60, 512, 64, 2)
    six_bits = newer * 6 / 16
    rng = np.random.default_rng(3)
    q, latents, up = (rng.standard_normal(shape, dtype=np.float32) for shape in ((8, 128), (200, 512), (8, 128, 512)))
    right = np.einsum("hd,hnd->hn", q, np.einsum("hdr,nr->hnd", up, latents))
    off = worst([float(np.abs(lesson2_kv_cache.absorbed_scores(q, latents, up) - right).max() / np.abs(right).max())])
    return Result(
        task="deepseek-v2",
        answer=0,
        tables=[
            bars(
                T("Bytes of cache for a token", "每个 token 的缓存字节"),
                (
                    (T("DeepSeek 67B, 8 key heads", "DeepSeek 67B，8 个键值头"), f"{older:,}"),
                    (T("V2, one latent vector", "V2，一个潜向量"), f"{newer:,}"),
                    (T("the same in 6 bits", "同上，6 位"), f"{six_bits:,.0f}"),
                    (T("saved, in all", "总共节省"), f"{1 - six_bits / older:.1%}"),
                ),
            )
        ],
        checks=[
            at_most(
                T("saved, against the paper's 93.3 %", "节省比例，与论文的 93.3% 之差"),
                abs(1 - six_bits / older - 0.933),
                0.001,
            ),
            at_most(
                T("scores in the short space against those of full keys", "短空间的得分与完整键的得分之差"), off, 1e-5
            ),
        ],
    )


def llama() -> Result:
    from zhilu.internals.lessons.beyond import scaling as part
    from zhilu.internals.proofs.beyond.scaling import sweep

    runs = sweep(part, lambda fraction, stage: None)
    sizes = sorted({run.parameters for run in runs})
    series = []
    for size in sizes:
        mine = [run for run in runs if run.parameters == size]
        name = T(f"{size:,.0f} weights", f"{size:,.0f} 个权重")
        series.append(Series(name=name, xs=[run.tokens for run in mine], ys=[run.loss for run in mine]))
    falls = [bool(np.all(np.diff(one.ys) < 0)) for one in series]
    ends = [one.ys[-1] for one in series]
    return Result(
        task="llama",
        answer=0,
        charts=[line_chart(T("Loss by text read", "损失随读过的文本"), T("bytes", "字节"), T("loss", "损失"), series)],
        checks=[
            at_least(T("sizes whose loss falls all the way", "损失一路下降的规模数"), sum(falls), len(sizes)),
            at_least(T("smallest over largest, at the end", "最后：最小与最大之差"), ends[0] - ends[-1], 0.2),
        ],
    )


def qlora() -> Result:
    from zhilu.internals.lessons.beyond import quantise as part
    from zhilu.internals.proofs.beyond.quantise import apart, real_layers

    floats = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32) / 6
    types = {
        "NF4": part.NF4,
        "FP4 (E2M1)": np.unique(np.concatenate([-floats, floats])),
        "INT4": np.arange(-7, 8, dtype=np.float32) / 7,
    }
    rows, moved, errors = [], [], []
    for name, levels in types.items():
        changed = {key: _levels(weight, levels) for key, (weight, _) in real_layers().items()}
        errors.append(
            float(np.mean([np.linalg.norm(changed[k] - w) / np.linalg.norm(w) for k, (w, _) in real_layers().items()]))
        )
        moved.append(apart(changed)[0])
        rows.append((T(name, name), f"{errors[-1]:.4f} · {moved[-1]:.4f}"))
    return Result(
        task="qlora",
        answer=0,
        tables=[
            bars(
                T(
                    "Error of weights (relative) · what zhilu-nano says moves by (nats)",
                    "权重误差（相对）· zhilu-nano 的预测变化（nat）",
                ),
                rows,
            )
        ],
        checks=[
            at_most(T("NF4's error over FP4's", "NF4 与 FP4 的误差之比"), errors[0] / errors[1], 0.98),
            at_most(T("NF4's error over INT4's", "NF4 与 INT4 的误差之比"), errors[0] / errors[2], 0.98),
        ],
    )


def _levels(weight: Array, levels: Array, block: int = 64) -> Array:
    flat = weight.reshape(-1, block)
    largest = np.abs(flat).max(axis=1, keepdims=True) + 1e-12
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, flat / largest)
    return np.asarray((levels[nearest] * largest).reshape(weight.shape), np.float32)
