"""Blobs as objects of a bucket: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure.

Everything rests on two conditional writes: create-only (If-None-Match) and over a known version (If-Match, by e-tag).
An object appears whole; what was written is read by whoever reads next.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunebench.api.errors import StoreError
from prunebench.store.backend import LARGEST_JSON, UnreadableError, checked_blob_name
from prunebench.store.claims import LEASE_SECONDS, ClaimLease, Watch, is_free
from prunebench.store.credentials import METADATA, check_credentials, scheme_of, what_to_set

if TYPE_CHECKING:
    from obstore.store import ObjectStore

LEASES, ASIDE = ".leases", ".aside"
"""Where leases and what was set aside lie: no blob's name begins with a point."""

PAUSES = (0.05, 0.2, 0.8, 2.0)
"""Seconds between the attempts of a conditional write whose outcome is open."""

ATONCE = 16
"""Requests under way at once where there are many."""

WRITER = "writer"
"""The metadata that tells a writer whether the object that it finds is its own."""


class ObjectBackend:
    """A store in a bucket, below the path of its URL; see Backend.

    Args:
        url: such as "s3://bucket/path". An endpoint that is not Amazon's is named by AWS_ENDPOINT_URL.
        lease_seconds: how long a lease outlives the last sign of its holder.
    Raises:
        StoreError: obstore is not installed, or there are no credentials.
    """

    distant = True
    leases_expire = True

    def __init__(self, url: str, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._lease_seconds = lease_seconds
        self._objects = Objects(self._url)
        self._watch: Watch[Stamp] = Watch()

    @property
    def place(self) -> str:
        """See Backend.place."""
        return self._url

    def read(self, name: str, size: int | None = None) -> bytes | None:
        """See Backend.read."""
        found = self._objects.get(checked_blob_name(name), size)
        return None if found is None else found[0]

    def create(self, name: str, data: bytes) -> bool:
        """See Backend.create."""
        return self._objects.create(checked_blob_name(name), data) is not None

    def replace(self, blobs: Mapping[str, bytes]) -> None:
        """See Backend.replace."""
        for name in blobs:
            checked_blob_name(name)
        with ThreadPoolExecutor(min(ATONCE, len(blobs) or 1)) as pool:
            list(pool.map(lambda name: self._objects.put(name, blobs[name]), blobs))

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See Backend.list."""
        if prefix:
            checked_blob_name(prefix)
        for name, size in self._objects.listed(prefix):
            if not name.startswith((f"{LEASES}/", f"{ASIDE}/")):
                yield name, size

    def remove(self, name: str) -> None:
        """See Backend.remove."""
        self._objects.delete([checked_blob_name(name), *(below for below, _ in self._objects.listed(name))])

    def set_aside(self, name: str) -> str | None:
        """See Backend.set_aside."""
        aside, moved = f"{ASIDE}/{checked_blob_name(name)}.{secrets.token_hex(4)}.bad", []
        for old in (name, *(below for below, _ in self._objects.listed(name))):
            if self._objects.copy(old, aside + old[len(name) :]):
                moved.append(old)
        self._objects.delete(moved)
        return aside if moved else None

    def lease(self, name: str) -> ClaimLease[Stamp]:
        """See Backend.lease."""
        return ClaimLease(self._objects, f"{LEASES}/{name}", self._watch, self._lease_seconds)

    def remove_free_leases(self, older_than: float) -> int:
        """Remove claims that were given back and not written for so many seconds; how many that were."""
        old = [
            path
            for path, age in self._objects.ages(LEASES)
            if age > older_than and (found := self._objects.read(path)) is not None and is_free(found[0])
        ]
        self._objects.delete(old)
        return len(old)


@dataclass(frozen=True)
class Stamp:
    """A version of an object: what a write may be conditional on. Stores use one of the two, or both."""

    e_tag: str | None
    version: str | None

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Stamp:
        """From what obstore says of an object."""
        return cls(result.get("e_tag"), result.get("version"))

    def condition(self) -> dict[str, str]:
        """As obstore takes it."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Objects:
    """Objects of a bucket, with what a network does to requests settled: lost answers, conflicts, overload.

    A request that reached the store but whose answer was lost may have been carried out. So each conditional write
    looks, after any error, whether the object that is there now is its own, and only then says that it failed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store = _opened(url)

    def get(self, path: str, size: int | None = None) -> tuple[bytes, Stamp] | None:
        """An object; None where there is none. Raises UnreadableError where it has another size than asked for."""
        import obstore

        with self._speaking("read"):
            try:
                found = obstore.get(self._store, path)
                if size is not None and found.meta["size"] != size:
                    raise UnreadableError(f"it has {found.meta['size']:,} bytes of {size:,}")
                if size is None and path.endswith(".json") and found.meta["size"] > LARGEST_JSON:
                    raise UnreadableError(f"it has {found.meta['size']:,} bytes, which no such file has")
                return bytes(found.bytes()), Stamp.of(found.meta)
            except FileNotFoundError as error:
                self._check_bucket(error)
                return None

    def read(self, path: str) -> tuple[bytes, Stamp] | None:
        """See Versioned.read."""
        return self.get(path)

    def put(self, path: str, data: bytes) -> None:
        """Write an object, whatever was there."""
        import obstore

        with self._speaking("write"):
            obstore.put(self._store, path, data, mode="overwrite")

    def create(self, path: str, data: bytes) -> Stamp | None:
        """See Versioned.create."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, GenericError

        token = secrets.token_hex(8)
        with self._speaking("write"):
            for pause in (*PAUSES, None):
                try:
                    attributes: Any = {WRITER: token}
                    done = obstore.put(self._store, path, data, mode="create", attributes=attributes)
                    return Stamp.of(done)
                except (AlreadyExistsError, GenericError) as error:
                    found = self._writer_of(path)
                    if found is not None:
                        return found[1] if found[0] == token else None
                    # Nothing is there: another conditional write was under way (409), or the request never arrived.
                    if pause is None:
                        raise StoreError(self._advice("write", error)) from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def update(self, path: str, data: bytes, version: Stamp) -> Stamp | None:
        """See Versioned.update. The data must differ from every other that is written under the path."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError

        with self._speaking("write"):
            for pause in (*PAUSES, None):
                try:
                    mode: Any = version.condition()
                    return Stamp.of(obstore.put(self._store, path, data, mode=mode))
                except (AlreadyExistsError, GenericError, PreconditionError, FileNotFoundError) as error:
                    found = self.get(path)
                    if found is None or found[1] != version:
                        return found[1] if found is not None and found[0] == data else None
                    if pause is None:
                        raise StoreError(self._advice("write", error)) from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Paths and sizes of the objects below a prefix of whole parts."""
        for found in self._found(prefix):
            yield found["path"], found["size"]

    def ages(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Paths of the objects below a prefix, and how many seconds ago each was written, by the store's clock."""
        now = time.time()
        for found in self._found(prefix):
            yield found["path"], now - found["last_modified"].timestamp()

    def delete(self, paths: list[str]) -> None:
        """Remove objects; nothing happens where there is none."""
        import obstore

        with self._speaking("write"):
            for path in [paths] if len(paths) > 1 else paths:
                try:
                    obstore.delete(self._store, path)
                except FileNotFoundError as error:
                    self._check_bucket(error)
                    if not isinstance(path, str):
                        self._delete_each(path)

    def copy(self, old: str, new: str) -> bool:
        """Copy an object; False where there is none."""
        import obstore

        with self._speaking("write"):
            try:
                obstore.copy(self._store, old, new)
            except FileNotFoundError as error:
                self._check_bucket(error)
                return False
        return True

    def _delete_each(self, paths: list[str]) -> None:
        for path in paths:
            self.delete([path])

    def _found(self, prefix: str) -> Iterator[Any]:
        import obstore

        with self._speaking("read"):
            for chunk in obstore.list(self._store, prefix=prefix or None, chunk_size=1000):
                yield from chunk

    def _writer_of(self, path: str) -> tuple[object, Stamp] | None:
        """Who wrote an object, and its version; None where there is none."""
        import obstore

        try:
            found = obstore.get(self._store, path, options={"head": True})
        except FileNotFoundError as error:
            self._check_bucket(error)
            return None
        attributes: Mapping[Any, Any] = found.attributes
        return attributes.get(WRITER), Stamp.of(found.meta)

    def _check_bucket(self, error: Exception) -> None:
        if any(code in str(error) for code in ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")):
            raise StoreError(self._advice("read", error)) from error

    @contextmanager
    def _speaking(self, what: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise StoreError(self._advice(what, error)) from error

    def _advice(self, what: str, error: Exception) -> str:
        text, kind = str(error), type(error).__name__
        if any(code in text for code in ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")):
            return f"{self._url}: there is no such bucket. Make it, or correct --store."
        if any(host in text for host in METADATA.values()):  # the machine has no role that gives credentials
            return f"{self._url}: no credentials. {what_to_set(self._url)}"
        if kind in ("UnauthenticatedError", "PermissionDeniedError") or "credential" in text.lower():
            advice = "Are the credentials right, and may they read and write there? docs/stores.md says what is needed"
        else:
            advice = "Run again when it can be reached (nothing finished is lost), or name another place with --store"
        return f"{self._url}: cannot {what} the store: {_first_line(text)}. {advice}."


def _opened(url: str) -> ObjectStore:
    scheme = scheme_of(url)
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise StoreError(
            f'{url}: a store at {scheme}:// needs the packages of the extra "s3": pip install "prunebench[s3]"'
        ) from None
    from datetime import timedelta

    check_credentials(url)
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    client: Any = {"allow_http": True} if plain and scheme == "s3" else {}
    retry: Any = {
        "max_retries": 6,
        "retry_timeout": timedelta(seconds=90),
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    try:
        return from_url(url, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        why = _first_line(str(error))
        if "Missing" in why:
            raise StoreError(f"{url}: credentials are not complete ({why}). {what_to_set(url)}") from error
        raise StoreError(f"{url}: {why}. docs/stores.md says how a place is named.") from error


def _first_line(text: str) -> str:
    """What went wrong, without the library's debugging print."""
    head = text.partition("\n\nDebug source")[0]
    return " ".join(head.split())[:400].rstrip(". ")
