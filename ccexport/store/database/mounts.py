"""Whether a file lies on another machine's disk, where SQLite's locks and its shared memory do not hold."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|beegfs|gpfs|ocfs2|davfs"
    r"|(fuse\.)?(sshfs|glusterfs|ceph|s3fs|rclone|davfs2|gcsfuse|blobfuse2?|nfs-ganesha)"
)


def network_file_system(path: Path) -> str | None:
    """The kind of file system, as `nfs4`, where `path` (or its folder to be) lies on one of a network; else None."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux: nothing is known
        return None
    where, found, kind = path.resolve(), Path("/"), ""
    for fields in (line.split() for line in lines):
        mounted = Path(_plain(fields[1])) if len(fields) > 2 else found
        # of two mounts at one place the later one is seen
        if len(fields) > 2 and where.is_relative_to(mounted) and mounted.is_relative_to(found):
            found, kind = mounted, fields[2]
    return kind if _NETWORK.fullmatch(kind) else None


def _plain(escaped: str) -> str:
    """Blanks of a path are written as octal numbers there."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), escaped)
