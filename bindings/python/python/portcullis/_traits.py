"""The plugins of a server that is configured by traitlets: what the authenticators for dask-gateway and JupyterHub share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from traitlets import Dict, List, TraitError, Unicode, Union
from traitlets.config import Configurable

from . import _portcullis
from ._portcullis import Authenticator, Authorizer, Chain, Engine, PluginDirectory, Sessions

if TYPE_CHECKING:
    from ._portcullis import _Metrics as Metrics

_Kind = TypeVar("_Kind", Authenticator, Authorizer)

# Keys of an authenticator that are traits of a single plugin. `log` is no trait, because traitlets' classes have it already.
_KEYS = (
    "settings",
    "grants",
    "limits",
    "sha256",
    "trust",
    "instances",
    "http_ca",
    "http_certificate",
    "http_key",
    "http_headers",
    "http_refresh_floor",
    "negotiate",
)
# Those that hold for a plugin directory as well.
_KEYS_OF_DIRECTORY = ("trust", "negotiate")


class PluginTraits(Configurable):
    """One plugin, or several."""

    plugin = Unicode(
        help="""The plugin: the name of a built-in one, such as "jwt", the path of a file, which has a slash or ends in ".wasm", or
        one in a registry, "oci://HOST/NAME@sha256:…". For several, see `authenticators`.""",
        config=True,
    )
    settings = Dict(help="The settings of the plugin. It checks them itself.", config=True)
    grants = Dict(
        help="""What the plugin may see and reach: headers, cookies, query, http, private, client_certificate. By default
        it sees the Authorization header and reaches no server.""",
        config=True,
    )
    limits = Dict(
        help="""What a call of the plugin may cost: deadline, memory, concurrency, cache, rate, breaker,
        reuse_decisions.""",
        config=True,
    )
    sha256 = Unicode(
        None, allow_none=True, help="The SHA-256 that the plugin's file must have, as hex digits.", config=True
    )
    trust = List(
        Unicode(),
        default_value=None,
        allow_none=True,
        help="The keys of which one must have signed the plugin's file. By default it needs no signature.",
        config=True,
    )
    instances = Dict(
        default_value=None,
        allow_none=True,
        help="Which instances of the plugin are kept for later requests: keep, requests, age. By default, none.",
        config=True,
    )
    http_ca = Unicode(
        None,
        allow_none=True,
        help="A file with the authorities that the plugin's requests to other servers trust. By default, the system's.",
        config=True,
    )
    http_certificate = Unicode(
        None, allow_none=True, help="A file with the certificate of the plugin's requests.", config=True
    )
    http_key = Unicode(None, allow_none=True, help="The file of its key.", config=True)
    http_headers = Dict(
        default_value=None,
        allow_none=True,
        help="""Headers that are added to the plugin's requests, for each server a dict. Their values are "file:PATH" or
        "env:NAME", and the plugin never sees them.""",
        config=True,
    )
    http_refresh_floor = Unicode(
        None,
        allow_none=True,
        help="The shortest time between two forced refreshes of a stored response of a server. By default, 5s.",
        config=True,
    )
    negotiate = Dict(
        default_value=None,
        allow_none=True,
        help="""What checks Kerberos tokens: for each name in `grants.negotiate` a dict with the keys keytab, service, helper,
        workers, deadline, channel_bindings, replay_cache and krb5_config.""",
        config=True,
    )
    authenticators = List(
        Union([Dict(), Unicode()]),
        help="""Several plugins instead of one, in the order in which they are asked: dicts with the keys name, plugin, log,
        and those of a single plugin; or the name of a plugin in `plugin_directory`.""",
        config=True,
    )
    authorizers = List(
        Union([Dict(), Unicode()]),
        help="""Plugins that are asked, after a user is known, whether the user may make the request, in their order: as in
        `authenticators`. The first denial ends it. By default, every user may make every request.""",
        config=True,
    )
    plugin_directory = Unicode(
        help="""A folder of plugins: NAME.wasm for each, and NAME.toml beside it with its settings, grants and limits. New
        versions are taken up while the server runs. With several, `authenticators` names them in their order. An authorizer
        in it is asked if `authorizers` names it. `trust` and `negotiate` hold for all of them.""",
        config=True,
    )
    cache_directory = Unicode(
        help="Where compiled plugins are kept, for a faster start. By default they are compiled at each start.",
        config=True,
    )
    registries = Dict(
        help="""How registries of plugins are reached, for each host a dict with the keys username, password, ca, plain_http and
        mirrors. By default, over https with the credentials that `docker login` stored.""",
        config=True,
    )
    store_directory = Unicode(
        help="""Where plugins from registries are kept, so that the next start needs no registry. By default, in the folder
        `registry` of `cache_directory`.""",
        config=True,
    )
    lock_file = Unicode(
        help="""The file that says which version of a plugin a tag stands for. It is written when a tag is first used. Without
        it, a plugin in a registry is named by its digest.""",
        config=True,
    )

    def check_plugins(self) -> None:
        """Raises an error if a trait is unknown, or if traits contradict each other."""
        place = type(self).__name__
        self._refuse_unknown_traits()
        if bool(self.plugin) == bool(self.authenticators or self.plugin_directory):
            raise TraitError(f"{place}: set either plugin or authenticators, or a plugin_directory")
        if not self.plugin:
            for key in _KEYS:
                if getattr(self, key) not in (None, {}) and not (key in _KEYS_OF_DIRECTORY and self.plugin_directory):
                    raise TraitError(f"{place}.{key}: belongs to `plugin`, which isn't set; entries of `authenticators` have it too")
        for key in ("authenticators", "authorizers"):
            for index, entry in enumerate(getattr(self, key)):
                if isinstance(entry, str):
                    if not self.plugin_directory:
                        raise TraitError(f"{place}.{key}[{index}]: names a plugin of `plugin_directory`, which isn't set")
                elif not entry.get("plugin"):
                    raise TraitError(f"{place}.{key}[{index}]: the key \"plugin\" is missing")

    def _refuse_unknown_traits(self) -> None:
        known = list(type(self).class_traits(config=True))
        for section in (kind.__name__ for kind in type(self).__mro__):
            for key in self.config.get(section, {}):
                if key not in known:
                    raise TraitError(f"{section}.{key}: {_portcullis._unknown_key(key, known)}")

    def load_plugins(self, sessions: Sessions | None = None, metrics: Metrics | None = None) -> Chain:
        """Loads the plugins, which takes up to some seconds. Raises an error for mistakes in their settings, grants and limits,
        and for a trait that contradicts the engine of this process, which the server's configuration may have started. `metrics`
        is where its metrics go unless they go elsewhere already."""
        place = type(self).__name__
        Engine._at(
            place,
            cache_directory=self.cache_directory or None,
            registries=self.registries or None,
            store_directory=self.store_directory or None,
            lock_file=self.lock_file or None,
            metrics=metrics,
        )
        directory = None
        if self.plugin_directory and not self.plugin:
            directory = PluginDirectory._at(place, self.plugin_directory, self.trust, self.negotiate)
        if self.plugin:
            single = {key: getattr(self, key) for key in _KEYS}
            given = {key: value for key, value in single.items() if value is not None}
            identify = [_configured(Authenticator, place, {"plugin": self.plugin, **given})]
        else:
            entries = self.authenticators or self._only_authenticator(directory)
            identify = _asked(Authenticator, f"{place}.authenticators", entries, directory)
        permit = _asked(Authorizer, f"{place}.authorizers", self.authorizers, directory)
        return Chain(*identify, authorizers=permit, sessions=sessions)

    def _only_authenticator(self, directory: PluginDirectory | None) -> list[str]:
        """The authenticator of the directory, if it has only one: of several, the order decides who a user is."""
        names = directory.authenticators if directory else []
        if len(names) != 1:
            found = f"there are {', '.join(names)}" if names else "there is none"
            raise TraitError(
                f"{type(self).__name__}.authenticators: name the plugins of {self.plugin_directory} in the order in which "
                f"they are asked; {found}"
            )
        return names


def _asked(
    kind: type[_Kind], place: str, entries: Sequence[dict[str, Any] | str], directory: PluginDirectory | None
) -> list[_Kind]:
    """The plugins of a trait that lists them, in their order."""
    asked = []
    for index, entry in enumerate(entries):
        entry_place = f"{place}[{index}]"
        if not isinstance(entry, str):
            asked.append(_configured(kind, entry_place, entry))
            continue
        assert directory is not None
        try:
            plugin = directory[entry]
        except KeyError as error:
            raise TraitError(f"{entry_place}: {error.args[0]}") from None
        if not isinstance(plugin, kind):
            raise TraitError(f"{entry_place}: {entry} is an {type(plugin).__name__.lower()}, not an {kind.__name__.lower()}")
        asked.append(plugin)
    return asked


def _configured(kind: type[_Kind], place: str, entry: dict[str, Any]) -> _Kind:
    keys = dict(entry)
    plugin = keys.pop("plugin")
    name = keys.pop("name", None) or plugin.rpartition("/")[2].removesuffix(".wasm")
    return kind._at(place, name, plugin, keys)
