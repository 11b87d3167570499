"""Whether a folder lies on a file system that other machines write to as well, whose locks may not reach them."""

from __future__ import annotations

import os
import re
from pathlib import Path

NETWORK = frozenset(
    {
        *(
            "9p",
            "afs",
            "beegfs",
            "ceph",
            "cifs",
            "coda",
            "fhgfs",
            "glusterfs",
            "gpfs",
            "lustre",
            "ncpfs",
            "nfs",
            "nfs4",
        ),
        *("ocfs2", "orangefs", "panfs", "pvfs2", "smb2", "smb3", "smbfs", "virtiofs", "wekafs"),
    }
)
"""Types as Linux names them. Those of programs ("fuse.sshfs") count too, but for the ones below."""

LOCAL_PROGRAMS = frozenset(
    {"fuseblk", "fuse.mergerfs", "fuse.fuse-overlayfs", "fuse.bindfs", "fuse.lxcfs", "fuse.portal"}
)


def network_file_system(path: str, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the network file system that a folder lies on, or would lie on; None for a local disk.

    Args:
        mounts: Linux's list of mounts. Where there is none nothing is known, and None the answer.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, found, longest = os.path.realpath(path), None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        if len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        # The last of several mounts on one point hides the others.
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= longest:
            found, longest = kind, len(point)
    if found is None:
        return None
    shared = found in NETWORK or (found.startswith("fuse") and found not in LOCAL_PROGRAMS)
    return found if shared else None
