"""Which Jupyter kernels are registered, and do their interpreters exist? Prints one line of JSON."""

import json
import os
import shutil
import sys


def main() -> None:
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError as error:
        print(json.dumps({"error": str(error)}))
        return
    kernels = {}
    for name, found in KernelSpecManager().get_all_specs().items():
        argv = found["spec"]["argv"]
        program = argv[0] if argv else ""
        path = program if os.path.isabs(program) else shutil.which(program)
        # ipykernel's own spec says just "python": jupyter_client starts it with the interpreter that runs jupyter_client
        own = not os.path.isabs(program) and "ipykernel_launcher" in argv
        here = own or (
            path is not None and os.path.realpath(os.path.dirname(path)) == os.path.realpath(sys.prefix + "/bin")
        )
        kernels[name] = {
            "python": sys.executable if own else program,
            "exists": own or bool(path and os.path.exists(path)),
            "here": bool(here),
            "language": found["spec"].get("language", ""),
        }
    print(json.dumps({"kernels": kernels}))


if __name__ == "__main__":
    main()
