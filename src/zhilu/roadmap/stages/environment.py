"""Stage 0."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["ENVIRONMENT"]

ENVIRONMENT = Stage(
    "0",
    T("Environment", "环境准备"),
    T("A machine on which everything later runs", "一台能跑通后面所有内容的机器"),
    T(
        "WSL2 (Ubuntu 22.04) or Linux/macOS, Python 3.10+, PyTorch (+ CUDA with an NVIDIA GPU), venv or Conda, VSCode, JupyterLab, vLLM",
        "WSL2（Ubuntu 22.04）或 Linux/macOS、Python 3.10+、PyTorch（有 NVIDIA 显卡时加 CUDA）、venv 或 Conda、VSCode、JupyterLab、vLLM",
    ),
    (
        Task(
            "0.1",
            T("A Python virtual environment (venv or Conda)", "Python 虚拟环境（venv 或 Conda）"),
            T(
                "inside one, pip works in it, interpreter version supported",
                "位于虚拟环境内，pip 可用，解释器版本受支持",
            ),
            T(
                "AI libraries pin each other's versions tightly. An environment per project "
                "keeps one from breaking the next, and the system from both.",
                "AI 库之间的版本约束很紧。每个项目一个独立环境，项目之间、项目与系统之间才不会互相弄坏。",
            ),
            T(
                "Run `zhilu doctor`, or open the doctor on the Roadmap page: it says which Python runs Zhilu "
                "and how to make an environment. The gate installs a tiny package with pip and imports it.",
                "运行 `zhilu doctor`，或打开“路线图”页里的体检：它会说明指路用的是哪个 "
                "Python，以及如何创建环境。关卡会用 pip 真正装一个小包并导入它。",
            ),
            "python3 -m venv .venv",
        ),
        Task(
            "0.2",
            T("PyTorch, the GPU build where there is a GPU", "PyTorch（有显卡时用 GPU 版）"),
            T(
                "a matrix product runs on the device; build matches the driver's CUDA; figure: GFLOP/s",
                "在设备上完成一次矩阵乘法；版本与驱动的 CUDA 匹配；指标：GFLOP/s",
            ),
            T(
                "PyTorch is what training and the open models are written in. The commonest trouble of all is a build that does not fit the driver.",
                "训练代码和开源模型大多用 PyTorch 写成。最常见的问题就是安装的版本与显卡驱动不匹配。",
            ),
            T(
                "`zhilu doctor` names the one command that installs the build for your driver. "
                "The gate multiplies two matrices, checks the product and measures the speed.",
                "`zhilu doctor` 会给出适合你驱动的那一条安装命令。关卡会做一次矩阵乘法，检验结果并测速。",
            ),
            "zhilu doctor",
        ),
        Task(
            "0.3",
            T("The GPU answers (nvidia-smi)", "显卡能应答（nvidia-smi）"),
            T(
                "driver, CUDA, memory free; without a GPU: what still works on this CPU and what does not",
                "驱动、CUDA、空闲显存；没有显卡时：这台 CPU 能做什么、不能做什么",
            ),
            T(
                "The GPU's memory decides which models fit, and the driver which software "
                "runs. Without a GPU the road is open too, with smaller models.",
                "显存决定能装下多大的模型，驱动决定能跑哪些软件。没有显卡也能走完全程，只是模型小一些。",
            ),
            T(
                "`zhilu doctor` and the Roadmap page show the machine. Without a GPU the gate says what your processor can do instead.",
                "`zhilu doctor` 和“路线图”页会显示机器信息。没有显卡时，关卡会告诉你处理器能替代做些什么。",
            ),
            "nvidia-smi",
        ),
        Task(
            "0.4",
            T("vLLM installed and a model loaded in it", "安装 vLLM 并加载一个模型"),
            T(
                "vLLM (CUDA or CPU build, in its own environment) answers one prompt; figure: seconds to ready",
                "vLLM（CUDA 或 CPU 版，独立环境）回答一个提示；指标：就绪所需秒数",
            ),
            T(
                "vLLM is the engine most companies serve models with. It pins its own PyTorch, so it lives in an environment of its own.",
                "vLLM 是企业部署模型最常用的引擎。它固定了自己的 PyTorch 版本，所以要放在独立环境里。",
            ),
            T(
                "`zhilu engine install vllm` makes its environment under the data home: the CUDA build where a GPU answers, "
                "else the CPU build. The gate then starts it with the embedded model and asks one question.",
                "`zhilu engine install vllm` 会在数据目录下为它建好环境：有显卡时装 CUDA 版，否则装 CPU 版。"
                "关卡随后用内置模型启动它并问一个问题。",
            ),
            "zhilu engine install vllm",
        ),
        Task(
            "0.5",
            T("The editor: VSCode / JupyterLab", "编辑器：VSCode / JupyterLab"),
            T(
                "a Jupyter kernel of the environment is registered and executes a notebook of the project",
                "已注册当前环境的 Jupyter 内核，并能执行项目中的一个笔记本",
            ),
            T(
                "Notebooks are where one tries things out and sees tensors and plots at once. They must run in the right environment.",
                "笔记本适合边试边看，张量和图表即刻可见。前提是它运行在正确的环境里。",
            ),
            T(
                "Install the labs extra, open `labs/stage0_environment.ipynb` in VSCode or "
                "JupyterLab and run all cells; the gate does the same without a window.",
                "安装 labs 附加组件，在 VSCode 或 JupyterLab 中打开 `labs/stage0_environment.ipynb` "
                "并运行全部单元格；关卡会在没有窗口的情况下做同样的事。",
            ),
            'python -m pip install "zhilu[labs]"',
        ),
    ),
)
