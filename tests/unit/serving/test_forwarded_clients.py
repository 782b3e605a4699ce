"""Whose address a request has: only what came through the balancer's socket may say."""

import asyncio

import pytest

from serving.web.clients import ForwardedClients


def client_of(came_from, *headers):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["client"])

    scope = {"type": "http", "client": came_from, "headers": [(b"x-forwarded-for", one) for one in headers]}
    asyncio.run(ForwardedClients(app)(scope, None, None))
    [client] = seen
    return client


class TestForwardedClients:
    def test_by_tcp_is_who_connected(self):
        assert client_of(("127.0.0.1", 5), b"203.0.113.9") == ("127.0.0.1", 5)

    @pytest.mark.parametrize(
        "told",
        [
            pytest.param((b"203.0.113.9",), id="alone"),
            pytest.param((b"10.0.0.1, 203.0.113.9",), id="after-what-others-said"),
            pytest.param((b"10.0.0.1", b"203.0.113.9"), id="in-a-header-of-its-own"),
        ],
    )
    def test_by_the_balancers_socket_is_whom_it_saw(self, told):
        assert client_of(None, *told) == ("203.0.113.9", 0)

    def test_nobody_told_is_nobody_known(self):
        assert client_of(None) is None
