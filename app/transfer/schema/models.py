"""The host's models: complete, with every metadata that their tables lie in, and their tables made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import SQLAlchemyError

from ...errors import DoesNotFit, Misconfigured
from .host import Host


def configure_models(host: Host) -> None:
    """Let every model be complete: what extensions make only then, such as tables of versions, is there afterwards.

    Not ``configure_mappers()``: another app of this process may have models that contradict each other.

    :raises Misconfigured: these do.
    """
    try:
        if (registry := getattr(host.db.Model, "registry", None)) is not None:
            registry.configure(cascade=True)
    except SQLAlchemyError as error:
        raise Misconfigured(f"The models cannot be configured: {error}", hint="See it with: flask shell") from error


def metadatas_of(host: Host) -> list[MetaData]:
    """The metadata of the target in Flask-SQLAlchemy, and those that its models, and tables between them, brought."""
    return find_metadatas(host.db, host.bind)


def find_metadatas(db: SQLAlchemy, bind: str | None) -> list[MetaData]:
    """As :func:`metadatas_of`, of a database of the app by its key."""
    registry = getattr(db.Model, "registry", None)
    mappers = list(registry.mappers) if registry else []
    tables = [table for mapper in mappers for table in mapper.tables]
    # Only where they are configured: to look at an app must not depend on whether they can be.
    links = [item for mapper in mappers if mapper.configured for item in mapper.relationships]
    tables += [item.secondary for item in links if item.secondary is not None]
    metadatas = [db.metadatas.get(bind), *(getattr(table, "metadata", None) for table in tables)]
    return list({id(item): item for item in metadatas if item is not None and _is_of(item, bind)}.values())


def _is_of(metadata: MetaData, bind: str | None) -> bool:
    """Whether Flask-SQLAlchemy takes the tables of a metadata for those of a database of the app."""
    return metadata.info.get("bind_key") == bind


def has_tables(host: Host) -> bool:
    """Whether a model has a table in the database."""
    return any(metadata.tables for metadata in metadatas_of(host))


def require_models(host: Host) -> None:
    """:raises Misconfigured: Flask-SQLAlchemy knows no table, so that nothing would be made."""
    if not has_tables(host):
        raise Misconfigured(
            "Flask-SQLAlchemy knows no table: the models have a base of their own, or were not imported.",
            hint="SQLAlchemy(model_class=Base) or SQLAlchemy(metadata=Base.metadata) names it; "
            "or build by the revisions: flask db-init --schema migrations",
        )


def create_tables(metadatas: Iterable[MetaData], engine: Engine) -> None:
    """Create the tables of all of them.

    :raises DoesNotFit: the server refuses them; names what two of them call the same.
    """
    metadatas = list(metadatas)
    try:
        for metadata in metadatas:
            metadata.create_all(engine)
    except SQLAlchemyError as error:
        words = getattr(error, "orig", None) or error
        raise DoesNotFit(
            f"The tables of the models cannot be made: {words}",
            details=list(_find_clashes(metadatas)),
            hint="Fix the models, or build by the revisions: flask db-init --schema migrations",
        ) from error


def _find_clashes(metadatas: Iterable[MetaData]) -> Iterator[str]:
    """Names that two tables or indexes have, as databases compare them."""
    claimants = defaultdict(list)
    for metadata in metadatas:
        for table in metadata.tables.values():
            claimants[table.name.lower()].append(f"a table of {len(table.columns)} columns")
            for index in table.indexes:
                claimants[str(index.name).lower()].append(f"an index of the table {table.name}")
    for name, claims in claimants.items():
        if len(claims) > 1:
            yield f"{name} is the name of {' and of '.join(claims)}"
