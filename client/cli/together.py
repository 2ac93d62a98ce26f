"""The same for several hosts at once, so that one that does not answer keeps nobody waiting but itself."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from client.errors import EdgeError

K = TypeVar("K")
T = TypeVar("T")


def together(each: Sequence[K], look: Callable[[K], T]) -> list[T | EdgeError]:
    """What looking at each gave, or the error it raised, in their order.

    The threads do not outlive an interrupted program: it need not wait for who does not answer.
    """
    found: dict[int, T | EdgeError | BaseException] = {}

    def one(index: int) -> None:
        try:
            found[index] = look(each[index])
        except BaseException as error:
            found[index] = error

    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(len(each))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results: list[T | EdgeError] = []
    for index in range(len(each)):
        result = found[index]
        if isinstance(result, BaseException) and not isinstance(result, EdgeError):
            raise result
        results.append(result)
    return results
