"""Make ``src/zhilu/models/embedders/e5_means.npy``: what multilingual-e5-small's vectors of one language have in common.

    python benchmarks/e5_means.py --data DIR --folder FOLDER-OF-THE-MODEL [--texts 80]

Rows: English passages, English questions, Chinese passages, Chinese questions; float16 (4, 384). Passages are paragraphs and
single sentences in equal parts, from the training parts of SQuAD and CMRC (never from what retrieval is measured on).
"""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

FILES = {"en": "en-squad1-part.jsonl.zst", "zh": "zh-cmrc2018-train.jsonl.zst"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ZHILU_DATA"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=80, help="paragraphs, sentences and questions of each language")
    parser.add_argument("--out", type=Path, default=Path("src/zhilu/models/embedders/e5_means.npy"))
    options = parser.parse_args()

    import numpy as np

    from zhilu.models.embedders.e5 import E5
    from zhilu.rag.index.split import sentences
    from zhilu.training.embed.data import is_kept_back
    from zhilu.training.nano.data import read_jsonl

    embedder = E5(options.folder, means=np.zeros((4, 384), np.float32))
    rows = []
    for name in FILES.values():
        path = Path(options.data) / "qa" / name
        records = [r for r in read_jsonl(path) if r["answerable"] and not is_kept_back(name, r["context"])]
        random.Random(5).shuffle(records)
        asked = {r["context"]: r["question"] for r in records}
        paragraphs = list(asked)[: options.texts]
        pieces = [p[a:b] for p in paragraphs for a, b in sentences(p)]
        random.Random(5).shuffle(pieces)
        means = [embedder.embed(texts, "passage").mean(0) for texts in (paragraphs, pieces[: options.texts])]
        rows += [(means[0] + means[1]) / 2, embedder.embed([asked[p] for p in paragraphs], "query").mean(0)]
    np.save(options.out, np.stack(rows).astype(np.float16))


if __name__ == "__main__":
    main()
