"""Supervised child processes that own the interpreters.

Front side (asyncio, imports no runtime): `pool` queues and supervises, `process` handles one child, `checking`
runs a throw-away child on an uploaded model. Worker side: `main` is the loop, `classifier` the work, `check` the
throw-away child's program. `messages` is what passes between them.
"""
