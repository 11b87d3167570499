"""Where a zoo lies: a folder, a bucket of an object store, or a repository of the Hugging Face hub."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from prunebench.api.errors import PrunebenchError
from prunebench.kernels import whole_files
from prunebench.results.writing import only_writer
from prunebench.runner.zoo.index import checked_path
from prunebench.store.credentials import scheme_of
from prunebench.store.places import backend_of

HUB = "hf://"


class ZooPlace(Protocol):
    """Reads and writes the files of a zoo."""

    def read(self, path: str, most: int) -> bytes | None:
        """A file of at most so many bytes; None if there is none. Raises PrunebenchError where it cannot be read."""
        ...

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files; the index is given last, alone."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Take turns with others who add to the index; a bucket and the hub have no turns."""
        ...


def zoo_place(text: str) -> ZooPlace:
    """The place that a text names: a folder's path, s3://..., gs://..., az://..., or hf://OWNER/NAME[@REVISION]."""
    if text.startswith(HUB):
        return HubPlace(text.removeprefix(HUB))
    return BucketPlace(text) if scheme_of(text) is not None else FolderPlace(Path(text).expanduser())


class FolderPlace:
    """A zoo in a folder; links in it are not followed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._in_turn = folder, False

    def read(self, path: str, most: int) -> bytes | None:
        """See ZooPlace.read."""
        place = self._folder
        for part in checked_path(path).split("/"):
            place = place / part
            if place.is_symlink():
                raise PrunebenchError(f"{place}: is a link; a zoo has none")
        try:
            with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise PrunebenchError(f"{place}: is no file")
                if found.st_size > most:
                    raise PrunebenchError(f"{place}: has {found.st_size:,} bytes; at most {most:,} are read")
                return file.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PrunebenchError(f"{place}: cannot be read ({error.strerror})") from error

    def write(self, files: Mapping[str, bytes]) -> None:
        """See ZooPlace.write."""
        places = {self._folder / checked_path(path): data for path, data in files.items()}
        with self.turn(), ExitStack() as renames:
            # All are written aside before the first is renamed: a disk that is full leaves what was there.
            for place, data in places.items():
                try:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    for left in place.parent.glob(f".{place.name}.*.aside"):  # by a writer that was killed
                        left.unlink()
                    beside = renames.enter_context(whole_files.aside(place))
                    whole_files.write_new(beside, data)
                except OSError as error:
                    raise PrunebenchError(
                        f"{place}: cannot be written ({error.strerror}); what was there is unchanged"
                    ) from error

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See ZooPlace.turn."""
        if self._in_turn:
            yield
            return
        with only_writer(self._folder):
            self._in_turn = True
            try:
                yield
            finally:
                self._in_turn = False


class BucketPlace:
    """A zoo in a bucket, through the store's own client."""

    def __init__(self, url: str) -> None:
        self._url, self._backend = url, backend_of(url)

    def turn(self) -> AbstractContextManager[None]:
        """See ZooPlace.turn."""
        return nullcontext()

    def read(self, path: str, most: int) -> bytes | None:
        """See ZooPlace.read."""
        data = self._backend.read(checked_path(path))
        if data is not None and len(data) > most:
            raise PrunebenchError(f"{self._url}/{path}: has {len(data):,} bytes; at most {most:,} are read")
        return data

    def write(self, files: Mapping[str, bytes]) -> None:
        """See ZooPlace.write."""
        self._backend.replace({checked_path(path): data for path, data in files.items()})


class HubPlace:
    """A zoo in a model repository of the hub; what was read before is read from its cache without a network."""

    def __init__(self, name: str) -> None:
        self._name, _, revision = name.partition("@")
        self._revision = revision or None
        if len(self._name.split("/")) != 2:
            raise PrunebenchError(f"{HUB}{name}: a repository is called {HUB}OWNER/NAME")

    def turn(self) -> AbstractContextManager[None]:
        """See ZooPlace.turn."""
        return nullcontext()

    def read(self, path: str, most: int) -> bytes | None:
        """See ZooPlace.read."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            file = Path(hf_hub_download(self._name, checked_path(path), revision=self._revision))
        except LocalEntryNotFoundError as error:  # an EntryNotFoundError too
            raise self._failed(path, error) from error
        except EntryNotFoundError:
            return None
        except Exception as error:  # of the network, the hub, its client
            raise self._failed(path, error) from error
        if file.stat().st_size > most:
            raise PrunebenchError(f"{HUB}{self._name}/{path}: is larger than the {most:,} bytes that are read")
        return file.read_bytes()

    def write(self, files: Mapping[str, bytes]) -> None:
        """See ZooPlace.write; one commit."""
        from huggingface_hub import CommitOperationAdd, HfApi

        added = [CommitOperationAdd(checked_path(path), data) for path, data in files.items()]
        try:
            api: Any = HfApi()
            api.create_repo(self._name, exist_ok=True)
            api.create_commit(self._name, added, commit_message="Tickets", revision=self._revision)
        except Exception as error:
            raise self._failed("", error) from error

    def _failed(self, path: str, error: Exception) -> PrunebenchError:
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        place = f"{HUB}{self._name}" + (f"@{self._revision}" if self._revision else "")
        if isinstance(error, RepositoryNotFoundError):
            return PrunebenchError(
                f"{place}: the hub has no such repository that you may read. If it is private, log in with "
                "`hf auth login`, or set HF_TOKEN."
            )
        if isinstance(error, RevisionNotFoundError):
            return PrunebenchError(f"{place}: the repository has no such revision")
        why = (str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
        return PrunebenchError(
            f"{place}{path and '/'}{path}: {why}. Without a network use a folder, which `git lfs` or a browser brings "
            "to the hub and back."
        )
