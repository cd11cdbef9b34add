"""The acceptance table: one function a row."""

import contextlib
import time
import traceback

ROWS = []


def row(name):
    def register(function):
        ROWS.append((name, function))
        return function

    return register


def run(server, only):
    """Runs every row; answers whether all held."""
    held = True
    for name, function in ROWS:
        if only and not any(word in name for word in only):
            continue
        began = time.monotonic()
        try:
            function(server)
            print(f"ok   {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            held = False
            print(f"FAIL {name}", flush=True)
            # Without the SDK's own frames: what failed here, and why.
            lines = traceback.format_exc(chain=False).splitlines()
            print("     " + "\n     ".join(line for line in lines if "/venv/" not in line), flush=True)
    return held


@contextlib.contextmanager
def raises(kind, code, status):
    """The block must raise the SDK's own exception, with code, status and request id."""
    try:
        yield
    except kind as error:
        seen = (error.code, error.status_code)
        assert seen == (code, status), f"{seen}: {error}"
        assert error.request_id and error.request_id == error.request_id.upper(), error
        assert code in str(error), error
    else:
        raise AssertionError(f"expected {kind.__name__} {code}")
