"""Disk space at home and for temporary files; a data home on a network share."""

from __future__ import annotations

from dataclasses import dataclass

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import GiB
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Disk", "磁盘")
FULL = 1 * GiB
TIGHT = 10 * GiB  # a 4 B model in 16 bit and vLLM's environment
TEMP = 3 * GiB  # pip unpacks PyTorch's CUDA build there
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "drvfs", "fuse.sshfs", "afs", "lustre")


@dataclass(frozen=True)
class Space:
    """Bytes, and where the file system is mounted."""

    total: int
    free: int
    mount: str


def look(runner: Machine, subject: Subject) -> list[Finding]:
    home = _space(runner, subject.home)
    temp_folder = runner.env.get("TMPDIR") or "/tmp"
    temp = _space(runner, temp_folder)
    findings = []
    if home is None:
        return [
            Finding("disk.unknown", Severity.INFO, TITLE, T("The free space could not be read.", "无法读取剩余空间。"))
        ]
    if home.free < FULL:
        findings.append(_full(subject.home, home))
    elif home.free < TIGHT:
        findings.append(_tight(subject.home, home))
    kind = _file_system(runner, home.mount)
    if kind in REMOTE and not subject.home.startswith("/mnt/"):  # Windows disks under WSL: the system probe speaks
        findings.append(_remote(subject.home, kind))
    if temp and temp.free < TEMP and temp.mount != home.mount:
        findings.append(_temp(temp_folder, temp))
    return findings or [
        ok(
            "disk.enough",
            TITLE,
            T(f"{home.free / GiB:.0f} GiB free at {subject.home}.", f"{subject.home} 剩余 {home.free / GiB:.0f} GiB。"),
        )
    ]


def _space(runner: Machine, folder: str) -> Space | None:
    done = runner.run(["df", "-Pk", folder])
    if done.code == 1 and folder.count("/") > 1:  # not made yet: what counts is where it will be
        return _space(runner, folder.rpartition("/")[0])
    lines = done.out.splitlines()
    cells = lines[-1].split() if len(lines) > 1 else []
    if len(cells) < 6 or not cells[1].isdigit() or not cells[3].isdigit():
        return None
    return Space(int(cells[1]) * 1024, int(cells[3]) * 1024, " ".join(cells[5:]))


def _file_system(runner: Machine, mount: str) -> str:
    for line in (runner.read("/proc/mounts") or "").splitlines():
        cells = line.split()
        if len(cells) > 2 and cells[1].replace("\\040", " ") == mount:
            return cells[2]
    return ""


def _full(folder: str, space: Space) -> Finding:
    return Finding(
        "disk.full",
        Severity.ERROR,
        T("The disk is full", "磁盘已满"),
        T(f"{space.free / GiB:.1f} GiB are free at {folder}.", f"{folder} 只剩 {space.free / GiB:.1f} GiB。"),
        T("Databases and downloads stop half-way. Caches that may go:", "数据库写入和下载会中途失败。可以清理的缓存："),
        (
            "python -m pip cache purge",
            "du -xh ~ --max-depth=2 2>/dev/null | sort -h | tail -15",
            "export ZHILU_HOME=/a/larger/disk/zhilu",
        ),
    )


def _tight(folder: str, space: Space) -> Finding:
    return Finding(
        "disk.tight",
        Severity.WARNING,
        T("Little disk space", "磁盘空间不多"),
        T(f"{space.free / GiB:.1f} GiB are free at {folder}.", f"{folder} 剩余 {space.free / GiB:.1f} GiB。"),
        T(
            "Enough for the embedded model; a 4-billion-parameter model takes 8 GiB, vLLM with CUDA about 10.",
            "够内置模型用；40 亿参数的模型约占 8 GiB，CUDA 版 vLLM 约占 10 GiB。",
        ),
        ("python -m pip cache purge", "export ZHILU_HOME=/a/larger/disk/zhilu"),
    )


def _remote(folder: str, kind: str) -> Finding:
    return Finding(
        "disk.network_home",
        Severity.WARNING,
        T("The data home is on a network share", "数据目录在网络共享上"),
        T(f"{folder} is on {kind}.", f"{folder} 位于 {kind}。"),
        T(
            "SQLite's write-ahead log needs shared memory that network file systems do not give: databases can be damaged.",
            "SQLite 的 WAL 需要网络文件系统无法提供的共享内存：数据库可能损坏。",
        ),
        ("export ZHILU_HOME=/a/local/disk/zhilu",),
        "https://www.sqlite.org/wal.html",
    )


def _temp(folder: str, space: Space) -> Finding:
    return Finding(
        "disk.temp_small",
        Severity.WARNING,
        T("Little space for temporary files", "临时目录空间不足"),
        T(f"{space.free / GiB:.1f} GiB are free at {folder}.", f"{folder} 只剩 {space.free / GiB:.1f} GiB。"),
        T(
            "pip unpacks there: PyTorch's CUDA build ends with 'No space left on device' although the disk is not full.",
            "pip 会在那里解包：安装 CUDA 版 PyTorch 时会报 'No space left on device'，尽管磁盘并没有满。",
        ),
        ("mkdir -p ~/.cache/tmp && export TMPDIR=~/.cache/tmp",),
    )
