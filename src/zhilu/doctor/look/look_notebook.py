"""Execute a notebook in a kernel, as JupyterLab would. Usage: look_notebook.py NOTEBOOK KERNEL. Prints JSON.

``outputs`` are the texts that the cells printed, in order; ``error`` is what a cell raised.
"""

import json
import sys
import tempfile
import time


def main() -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(sys.argv[1], as_version=4)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, kernel_name=sys.argv[2], timeout=120, resources={"metadata": {"path": folder}}
        )
        answer = {}
        try:
            client.execute()
        except CellExecutionError as error:
            answer["error"] = f"{error.ename}: {error.evalue}"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for cell in code
        for output in cell.get("outputs", [])
        if output.output_type in ("stream", "execute_result", "display_data")
    ]
    print(
        json.dumps(
            {
                **answer,
                "cells": len(code),
                "executed": sum(cell.get("execution_count") is not None for cell in code),
                "outputs": texts,
                "seconds": time.perf_counter() - began,
            }
        )
    )


if __name__ == "__main__":
    main()
