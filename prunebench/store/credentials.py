"""Whether there are credentials for an object store at all: said before anything trains, and without waiting."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from prunebench.api.errors import StoreError

SCHEMES = ("s3", "gs", "az")
"""Schemes of URLs that name an object store."""

METADATA = {"s3": "169.254.169.254", "gs": "metadata.google.internal", "az": "169.254.169.254"}
"""Where a cloud's own machines find the credentials of their role."""

PATIENCE = 1.0
"""Seconds that a machine's metadata service has to answer; it is next door or it is not there."""

VARIABLES = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ),
    "gs": (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "GOOGLE_SKIP_SIGNATURE",
    ),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_CLIENT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_STORAGE_TOKEN",
        "AZURE_USE_AZURE_CLI",
        "AZURE_SKIP_SIGNATURE",
        "IDENTITY_ENDPOINT",
    ),
}
"""Any of them says that credentials were given; whether they are right the store says itself."""

ADVICE = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION, AWS_ENDPOINT_URL where they are needed)",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run `gcloud auth application-default login`",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_KEY)",
}


def scheme_of(place: str) -> str | None:
    """The scheme of a place that is a URL; None of a folder's path."""
    scheme, separator, _ = place.partition("://")
    return scheme.lower() if separator and scheme.isalnum() else None


def check_credentials(url: str) -> None:
    """Raises StoreError where nothing says how to sign requests, with what would."""
    scheme = scheme_of(url)
    if scheme not in SCHEMES or any(os.environ.get(name) for name in VARIABLES[scheme]):
        return
    well_known = Path.home() / ".config" / "gcloud" / "application_default_credentials.json"
    if scheme == "gs" and well_known.is_file():
        return
    try:
        socket.create_connection((METADATA[scheme], 80), PATIENCE).close()
    except OSError:
        raise StoreError(f"{url}: no credentials. {what_to_set(url)}") from None


def what_to_set(url: str) -> str:
    """The advice for a URL."""
    return f"{ADVICE[scheme_of(url) or 's3']}; docs/stores.md says more."
