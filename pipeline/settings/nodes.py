"""The nodes of a chain: their addresses, and how we log in at each. Shapes and limits of single keys.

`rpc_url` is one address or a list of them, which share the chain's login; a node with a login of its own stands in `[[chains.NAME.nodes]]`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from pipeline.model.address import parse_address
from pipeline.model.message import message

from .parts import FilePath, Section

MOST_NODES = 9


def checked_url(value: str) -> str:
    """The address as it is. Raises ValueError for one that is none, or holds a user or password."""
    try:
        parse_address(value, carries_secret=False)
    except ValueError as error:
        raise ValueError(
            message("{error}; write it like http://127.0.0.1:8332, and log in by cookie_file, or user with password_file", error=error)
        ) from None
    return value


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _urls(values: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(values) <= MOST_NODES:
        raise ValueError(message("names {count} nodes: 1 to {most_nodes}", count=len(values), most_nodes=MOST_NODES))
    for value in values:
        try:
            checked_url(value)
        except ValueError as error:
            raise ValueError(
                str(error) if len(values) == 1 else message("no. {index} {error}", index=values.index(value) + 1, error=error)
            ) from None
    if len(set(values)) < len(values):
        raise ValueError(message("names one node twice"))
    return values


Urls = Annotated[tuple[str, ...], BeforeValidator(_as_list), AfterValidator(_urls), WithJsonSchema({"type": "string"})]
"""One address or a list of them; as a tuple."""


class NodeSettings(Section):
    """A further node of the chain, with a login of its own (ADR 20)."""

    rpc_url: Annotated[str, AfterValidator(checked_url)] = Field(description="the node's JSON-RPC address, without user and password")
    cookie_file: FilePath | None = Field(default=None, description="the node's cookie file; instead of user and password")
    user: str | None = Field(default=None, description="the node's rpcuser")
    password_file: FilePath | None = Field(default=None, description="a file with nothing but the node's rpcpassword")
    password: SecretStr | None = Field(default=None, exclude=True, description="only from password_file")
    bearer_file: FilePath | None = Field(default=None, description="EVM: a file with nothing but the token of `Authorization: Bearer`")
    bearer: SecretStr | None = Field(default=None, exclude=True, description="only from bearer_file")
    header_name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9-]{1,100}$", description="EVM: a further header that the node asks for, such as X-API-Key"
    )
    header_file: FilePath | None = Field(default=None, description="EVM: a file with nothing but that header's value")
    header: SecretStr | None = Field(default=None, exclude=True, description="only from header_file")

    def secret_headers(self) -> dict[str, str]:
        """The headers that log in: for the connector alone, never to be printed."""
        return secret_headers(self.bearer, self.header_name, self.header)


def secret_headers(bearer: SecretStr | None, header_name: str | None, header: SecretStr | None) -> dict[str, str]:
    """The headers of a bearer token, and of a further header."""
    headers = {"Authorization": f"Bearer {bearer.get_secret_value()}"} if bearer else {}
    return headers | ({header_name: header.get_secret_value()} if header_name and header else {})
