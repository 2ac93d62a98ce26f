"""edgerun for notebooks and programs: `edgerun.EdgeClient("edge1").classify("parrot.jpg")`.

The same as `import client`, under a name that nothing else has.
"""

from client import *  # noqa: F403 - the one list of names is client's
from client import __all__ as __all__
