"""The FastAPI application of an agent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Scope

from contract.paths import OPENAPI
from server import __version__
from server.agent import Agent
from server.http.auth import Authentication
from server.http.openapi import DescribedAPI
from server.http.requests import RequestIds, install_error_handlers
from server.http.scopes import OPEN_METRICS, RULES, Rules
from server.routes import (
    blobs,
    classify,
    detect,
    health,
    info,
    jobs,
    lease,
    metrics,
    models,
    page,
    session,
    synthetic,
    telemetry,
    tokens,
    v2_infer,
    v2_models,
    v2_repository,
    v2_server,
)
from server.routes.fast_path import FastPath

ROUTES = (
    *(health, info, lease, classify, detect, models, synthetic, blobs, jobs, telemetry, metrics, session, tokens, page),
    *(v2_server, v2_infer, v2_models, v2_repository),
)


def create_app(agent: Agent) -> ASGIApp:
    """Routes, error handling and authentication around an agent, which starts and stops with the app."""
    app = create_api(agent)
    app.rules = {**RULES, **OPEN_METRICS} if agent.settings.open_metrics else RULES

    def is_routed(scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in app.routes)

    agent.requests.add_route(OPENAPI, ["GET"])
    for route in (each for module in ROUTES for each in module.router.routes):
        if isinstance(route, APIRoute):
            agent.requests.add_route(route.path, route.methods or ())
    guarded = Authentication(
        FastPath(app), agent.access, agent.sessions, agent.probe_secret, is_routed, Rules(app.rules)
    )
    return RequestIds(guarded, agent.requests.observe)


def create_api(agent: Agent) -> DescribedAPI:
    """The routes of an agent, with nothing in front of them."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await agent.start()
        yield
        await agent.stop()

    app = DescribedAPI(
        title="edgerun agent",
        version=__version__,
        summary="Classify pictures on this device, every stage timed.",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from a content network: blank offline, and a leak
        redoc_url=None,
        openapi_url=OPENAPI,
        redirect_slashes=False,  # a redirect would name whatever host the request names
    )
    app.state.agent = agent
    for module in ROUTES:
        app.include_router(module.router)
    install_error_handlers(app)
    return app
