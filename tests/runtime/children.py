"""What a call gives in a child that is forked from the tests."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import traceback
import warnings

import pytest

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked there")


def in_child(call):
    """What `call()` returns in a forked child, by way of JSON. Fails where it raises or takes half a minute."""
    here, there = multiprocessing.Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads, which is what is tested
        child = os.fork()
    if not child:
        gc.disable()  # what other tests left may wait for threads when it is taken apart
        try:
            there.send(json.dumps([call(), None]))
        except BaseException:  # noqa: BLE001 (nothing of the child's may go on as the parent)
            there.send(json.dumps([None, traceback.format_exc()]))
        finally:
            os._exit(0)
    came = here.poll(30)
    if not came:
        os.kill(child, 9)
    os.waitpid(child, 0)
    value, error = json.loads(here.recv()) if came else (None, "nothing came from the child")
    assert error is None, error
    return value
