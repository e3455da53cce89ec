"""What the kernel says a process uses: texts of /proc in, numbers out. Pure; read by bridge/supervisor.py."""


def pss_mb(smaps_rollup: str) -> float:
    """Proportional set size in MB: shared pages count by their share. 0.0 when the text has none."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_ticks(stat: str) -> int:
    """Ticks of the clock (sysconf SC_CLK_TCK a second) that all threads of a process have run, in user and kernel.

    `stat` is /proc/PID/stat; its second field is the program's name in brackets and may hold anything (proc(5)).
    """
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def parent(stat: str) -> int:
    """The process id of the parent."""
    return int(stat.rpartition(")")[2].split()[1])
