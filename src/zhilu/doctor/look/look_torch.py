"""Import PyTorch for real and touch the device. Prints one line of JSON; ``error`` holds what the import raised."""

import json
import warnings
from typing import Any


def main() -> None:
    heard = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import torch

            answer: dict[str, Any] = {
                "version": torch.__version__,
                "cuda": torch.version.cuda,
                "hip": torch.version.hip,
                "available": torch.cuda.is_available(),
                "arch_list": torch.cuda.get_arch_list() if torch.cuda.is_available() else [],
                "mps": bool(getattr(torch.backends, "mps", None) and torch.backends.mps.is_available()),
            }
            if answer["available"]:
                try:
                    answer["device"] = torch.cuda.get_device_name(0)
                    answer["capability"] = list(torch.cuda.get_device_capability(0))
                    answer["sum"] = float(torch.ones(8, device="cuda").sum().item())
                except Exception as error:
                    answer["device_error"] = str(error).strip().splitlines()[0]
        heard = [str(item.message).strip().splitlines()[0] for item in caught]
    except BaseException as error:  # a broken C extension can raise anything, SystemExit included
        answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
    print(json.dumps({**answer, "warnings": heard}))


if __name__ == "__main__":
    main()
