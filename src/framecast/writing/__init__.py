"""The one way in which framecast writes files and folders: whole or not at all, durable, and by one writer at a time.

`replacing` yields a temporary path on the file system of the target. What is written there is synced to disk and renamed onto
the target, and the folder of the target is synced; an error leaves the target as it was. A temporary lies in a hidden folder
`.writing-<host>-<pid>-<random>` next to the target, locked by the process that writes it, so that `clean_leftovers` knows those
of dead processes. Symbolic links are followed to their target; the mode of new files is that of the umask.

`claim` is the exclusive lock of one writer of a folder, of a run for example. Errors of the disk are raised as `RunError` with
the file and a remedy (`write_errors`).
"""

from framecast.writing.files import adopt, append_text, appending, discard, replacing, write_bytes, write_text
from framecast.writing.leftovers import TEMPORARY, clean_leftovers
from framecast.writing.locks import LOCK, claim
from framecast.writing.system import creating, make_folder, put_bytes
from framecast.writing.targets import check_sources, naming, resolve, write_errors

__all__ = [
    "LOCK",
    "TEMPORARY",
    "adopt",
    "append_text",
    "appending",
    "check_sources",
    "claim",
    "clean_leftovers",
    "creating",
    "discard",
    "make_folder",
    "naming",
    "put_bytes",
    "replacing",
    "resolve",
    "write_bytes",
    "write_errors",
    "write_text",
]
