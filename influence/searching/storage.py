"""A database of studies that may be away for a while: every call waits until it is back."""

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
PAUSE, PATIENCE = 1.0, 600.0  # seconds between attempts, and in total
_inside = threading.local()  # whether this thread is already inside a call


class PatientStorage(RDBStorage):
    """Optuna's database storage, whose calls survive a restart of the database."""


def _patient(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def wait_and_call(storage: PatientStorage, *arguments: Any, **named: Any) -> Any:
        if getattr(_inside, "call", False):  # the session is lost too: fail whole
            return call(storage, *arguments, **named)
        until, announced = time.monotonic() + PATIENCE, False
        while True:
            try:
                _inside.call = True
                return call(storage, *arguments, **named)
            except (SQLAlchemyError, StorageInternalError) as error:
                if not _is_away(error) or time.monotonic() > until:
                    raise
                if not announced:
                    print("search: the storage does not answer; waiting for it", file=sys.stderr)
                announced = True
                time.sleep(PAUSE)
            except UpdateFinishedTrialError:
                if announced and call.__name__ == "set_trial_state_values":
                    return True  # the call had arrived, only its answer was lost
                raise
            finally:
                _inside.call = False

    return wait_and_call


def _is_away(error: BaseException | None) -> bool:
    """Tell a lost or refused connection from a call that can never succeed.

    The loss may be the cause of another error.
    """
    while error is not None:
        if isinstance(error, LOST):
            return True
        error = error.__cause__ or error.__context__
    return False


# Private methods too: Optuna's cache calls some of them directly.
for _name, _call in vars(RDBStorage).items():
    if isfunction(_call) and not _name.startswith("__"):
        setattr(PatientStorage, _name, _patient(_call))
