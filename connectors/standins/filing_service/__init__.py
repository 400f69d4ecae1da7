"""A filing service for trials, on the loopback: it takes submissions, judges them, and can be told to behave badly."""

from .faults import FAULTS as FAULTS
from .faults import Faults as Faults
from .server import Sandbox as Sandbox
from .server import SandboxServer as SandboxServer
from .submissions import ReceivedSubmissions as ReceivedSubmissions
