"""A database of studies that may go away for a while: every call waits until it is back."""

import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from sqlalchemy.exc import (
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)

LOST = (InterfaceError, OperationalError, PendingRollbackError)
PAUSE, PATIENCE = 1.0, 600.0  # seconds between two attempts, and in all
_inside = threading.local()  # whether this thread is in a call already


class PatientStorage(RDBStorage):
    """Optuna's storage in a database, whose calls outlive a restart of it."""


def _patient(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def wait_and_call(storage: PatientStorage, *arguments: Any, **named: Any) -> Any:
        if getattr(_inside, "call", False):  # its session is lost with the connection: fail whole
            return call(storage, *arguments, **named)
        until, told = time.monotonic() + PATIENCE, False
        while True:
            try:
                _inside.call = True
                return call(storage, *arguments, **named)
            except (SQLAlchemyError, StorageInternalError) as error:
                if not _is_away(error) or time.monotonic() > until:
                    raise
                if not told:
                    print("search: the storage does not answer; waiting for it", file=sys.stderr)
                told = True
                time.sleep(PAUSE)
            except UpdateFinishedTrialError:
                if told and call.__name__ == "set_trial_state_values":
                    return True  # it had arrived, only the answer was lost
                raise
            finally:
                _inside.call = False

    return wait_and_call


def _is_away(error: BaseException | None) -> bool:
    """Tell a connection that was lost or refused from a call that can never succeed.

    The loss may be what another error came from.
    """
    while error is not None:
        if isinstance(error, LOST):
            return True
        error = error.__cause__ or error.__context__
    return False


# Also the private ones: Optuna's cache calls some of them past the public ones.
for _name, _call in vars(RDBStorage).items():
    if isfunction(_call) and not _name.startswith("__"):
        setattr(PatientStorage, _name, _patient(_call))
