"""An application of the user, and the client that asks it."""

from collections.abc import AsyncIterator

import pytest

from b2bua.web.webhooks import CallWebhooks, WebhookClient
from tests.web.web_application import TOKEN, Application, serving


@pytest.fixture
async def app() -> AsyncIterator[Application]:
    async with serving() as application:
        yield application


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    webhooks = WebhookClient(TOKEN)
    yield webhooks
    await webhooks.close()


@pytest.fixture
async def call(client: WebhookClient) -> CallWebhooks:
    return client.for_call()
