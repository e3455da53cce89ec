"""Demands: our choice: the call sees any transport through one shape."""

import inspect

import pytest

from bridge.realtime.transport import Transport
from bridge.realtime.websocket import WebSocketTransport

METHODS = ["send", "recv", "close"]


@pytest.mark.parametrize("name", METHODS)
def test_the_websocket_has_the_shape_of_a_transport(name):
    expected, actual = getattr(Transport, name), getattr(WebSocketTransport, name)
    assert inspect.signature(actual) == inspect.signature(expected)
    assert inspect.iscoroutinefunction(actual)


def test_a_transport_is_an_async_context_manager():
    assert hasattr(WebSocketTransport, "__aenter__")
    assert hasattr(WebSocketTransport, "__aexit__")
