"""GPUs, drivers and PyTorch builds that do not go together."""

from __future__ import annotations

import json

from machines import ERROR, HEALTHY, INFO, WARNING, WSL2, Environment, python, silent_gpu, smi, torch_answer, with_gpu

from zhilu.doctor.runner import TIMED_OUT, Completed

BROKEN_GPUS = [
    # GPU and driver
    Environment(
        "driver upgraded under the running module",
        silent_gpu(
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.133", code=18
        ),
        "gpu.mismatch",
        ERROR,
        "sudo reboot",
        "kernel module",
    ),
    Environment(
        "module not built for the new kernel",
        silent_gpu(
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the "
            "latest NVIDIA driver is installed and running."
        ),
        "gpu.module_not_loaded",
        ERROR,
        "dkms autoinstall",
    ),
    Environment(
        "container without --gpus",
        silent_gpu("No devices were found", code=6, on_bus=False),
        "gpu.no_devices",
        WARNING,
        "docker run --gpus all",
    ),
    Environment("GPU dead on the bus", silent_gpu("No devices were found", code=6), "gpu.no_devices", ERROR, "dmesg"),
    Environment(
        "NVML library missing in WSL",
        silent_gpu("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", code=12).but(commands=WSL2),
        "gpu.library_missing",
        ERROR,
        "wsl --update",
    ),
    Environment(
        "NVIDIA card without a driver",
        HEALTHY.but(commands={"lspci -n": "01:00.0 0300: 10de:2684 (rev a1)\n"}),
        "gpu.no_driver",
        ERROR,
        "ubuntu-drivers install",
    ),
    Environment(
        "driver of 2021",
        with_gpu(
            {"available": False, "cuda": "11.3", "version": "1.12.1+cu113"}, driver="390.157", cuda="9.1", cap="6.1"
        ),
        "gpu.old_driver",
        ERROR,
        "ubuntu-drivers install",
        others=("torch.newer_than_driver",),
    ),
    Environment(
        "memory held by another model",
        with_gpu({"available": True, "device": "RTX 4090", "cuda": "12.6"}, free=3000, apps="/usr/bin/ollama, 20480\n"),
        "gpu.crowded",
        WARNING,
        "nvidia-smi",
        "ollama",
    ),
    Environment(
        "nvidia-smi off PATH in WSL",
        HEALTHY.but(
            commands={
                **WSL2,
                **{
                    k.replace("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi", 1): v
                    for k, v in smi("581.29", cuda="13.0").items()
                },
                "python look_torch.py": torch_answer(available=True, device="RTX 4090"),
            }
        ),
        "gpu.not_on_path",
        WARNING,
        "PATH=$PATH:/usr/lib/wsl/lib",
    ),
    Environment(
        "Linux driver inside WSL",
        HEALTHY.but(commands={**WSL2, "dpkg-query": "ii  libnvidia-compute-570\n"}),
        "gpu.linux_driver_in_wsl",
        ERROR,
        "apt-get purge",
        "libcuda",
        others=("gpu.none",),
    ),
    # PyTorch
    Environment(
        "CPU build with a GPU, old driver",
        with_gpu({"version": "2.13.0+cpu", "cuda": None}),
        "torch.cpu_build",
        ERROR,
        "whl/cu126",
    ),
    Environment(
        "CPU build with a GPU, new driver",
        with_gpu({"version": "2.13.0+cpu", "cuda": None}, driver="580.95.05", cuda="13.0"),
        "torch.cpu_build",
        ERROR,
        "whl/cu130",
    ),
    Environment(
        "CUDA 13 build on a CUDA 12 driver",
        with_gpu(
            {
                "cuda": "13.0",
                "warnings": ["CUDA initialization: The NVIDIA driver on your system is too old (found version 12080)."],
            }
        ),
        "torch.newer_than_driver",
        ERROR,
        "whl/cu126",
        "580",
    ),
    Environment(
        "GTX 1080 with the CUDA 13 build",
        with_gpu(
            {
                "available": True,
                "device": "GTX 1080",
                "capability": [6, 1],
                "arch_list": ["sm_75", "sm_120"],
                "device_error": "CUDA error: no kernel image is available for execution on the device",
            },
            driver="580.95.05",
            cuda="13.0",
            cap="6.1",
            name="GTX 1080",
        ),
        "torch.no_kernel_image",
        ERROR,
        "whl/cu126",
        "6.1",
    ),
    Environment(
        "GPU full",
        with_gpu(
            {
                "available": True,
                "device": "RTX 4090",
                "device_error": "CUDA out of memory. Tried to allocate 2.00 MiB.",
            },
            driver="580.95.05",
            free=10,
        ),
        "torch.gpu_full",
        ERROR,
        "kill PID",
        others=("gpu.crowded",),
    ),
    Environment(
        "CUDA hidden",
        with_gpu({"cuda": "12.6", "available": False}),
        "torch.no_device",
        ERROR,
        "unset CUDA_VISIBLE_DEVICES",
    ),
    Environment(
        "PyTorch missing",
        python(packages={"torch": None}),
        "torch.missing",
        WARNING,
        "zhilu setup torch",
    ),
    Environment(
        "ABI broken",
        HEALTHY.but(
            commands={
                "python look_torch.py": json.dumps(
                    {
                        "error": "ImportError: /home/li/zhilu/.venv/lib/python3.12/site-packages/torch/lib/libtorch_cuda.so: "
                        "undefined symbol: ncclCommWindowDeregister"
                    }
                )
            }
        ),
        "torch.import_error",
        ERROR,
        "unset LD_LIBRARY_PATH",
    ),
    Environment(
        "NumPy 2 with an old PyTorch",
        HEALTHY.but(
            commands={
                "python look_torch.py": json.dumps({"error": "ImportError: numpy.core.multiarray failed to import"})
            }
        ),
        "torch.import_error",
        ERROR,
        "'numpy<2'",
    ),
    Environment(
        "import that crashes",
        HEALTHY.but(commands={"python look_torch.py": Completed(-11, err="Segmentation fault")}),
        "torch.import_error",
        ERROR,
        "pip uninstall -y torch",
    ),
    Environment(
        "import that takes for ever",
        HEALTHY.but(commands={"python look_torch.py": Completed(TIMED_OUT)}),
        "torch.slow",
        INFO,
        "zhilu check 0.2",
    ),
]
