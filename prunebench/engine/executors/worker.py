"""A worker: pieces of work one after another, each ended by one event."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path
from typing import Any

from prunebench.api.errors import ConfigError, ContractError, DataMissing, LostArtifact, PlanError, StoreError
from prunebench.components.catalogue import Catalogue
from prunebench.engine.environment import pin
from prunebench.engine.executors.api import WorkerConfig
from prunebench.engine.work import CancelledError, Channel, Work


class _Worker:
    """Does pieces of work one after another in this process."""

    def __init__(self, site: WorkerConfig, catalogue: Catalogue | None = None) -> None:
        from prunebench.engine.workbench import Workbench

        pin(site.device, site.threads)
        self.site = site
        self.workbench = Workbench(
            site.open_store(),
            Catalogue.load() if catalogue is None else catalogue,
            Path(site.data_root),
            site.device,
        )

    def do(self, text: str, channel: Channel) -> dict[str, Any]:
        """One piece of work; the event that ends it."""
        from prunebench.engine.phases import perform

        data = json.loads(text)
        key, began = data["key"], time.monotonic()
        try:
            with self.workbench.store.lease(key) as lease:
                if not lease.try_acquire():
                    return {"kind": "busy", "key": key}
                perform(Work.from_json(data), self.workbench, channel, self.site.checkpoint_seconds)
        except CancelledError:
            return {"kind": "cancelled", "key": key}
        except LostArtifact as error:
            return {"kind": "lost", "key": key, "address": error.address, "error": str(error)}
        except StoreError as error:
            return {"kind": "failed", "key": key, "error": str(error), "fatal": True}
        except (ContractError, DataMissing, PlanError, ConfigError) as error:
            return {"kind": "failed", "key": key, "error": str(error), "fatal": False}
        except Exception as error:  # a plugin may raise anything; the other trials go on
            shown = "".join(traceback.format_exception(error)[-4:])
            message = f"{type(error).__name__}: {error}"
            return {"kind": "failed", "key": key, "error": message, "traceback": shown, "fatal": False}
        return {"kind": "done", "key": key, "seconds": time.monotonic() - began}
