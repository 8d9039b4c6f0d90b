"""A real Apache Kafka on the loopback address: one node that is its own controller, with as much security as is asked for.

``fink services up kafka`` starts it for a trial, and the tests start it for themselves. It keeps its ports, its users and its data
over a restart, so that clients find it again. It is no way to run a survey: that wants a cluster of three nodes or more.
"""

from __future__ import annotations

import os
import secrets
import signal
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from fink.errors import ComponentError
from fink.services.components import ServerProcess, free_ports, jars, java, run_to_end

VERSION = "4.4.0"
MEMORY = "512m"
PROTOCOLS = {"plain": "PLAINTEXT", "sasl": "SASL_PLAINTEXT", "tls": "SSL", "sasl_tls": "SASL_SSL"}
"""What a client sets as its security protocol, by the listener's name."""

LAYOUT = "layout.json"
_STORE, _STORE_PASSWORD, _CERTIFICATE = "server.p12", "loopback", "ca.pem"

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>fink</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
      <exclusions><exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

_PROPERTIES = """process.roles=broker,controller
node.id=1
inter.broker.listener.name=plain
controller.listener.names=CONTROLLER
auto.create.topics.enable=false
num.partitions=4
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
message.max.bytes=2097152
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
"""


@dataclass(frozen=True)
class KafkaLayout:
    """What a server keeps from one start to the next.

    Parameters
    ----------
    cluster
        Identity of the cluster.
    ports
        Port of each listener: ``plain``, ``controller``, and as asked for ``sasl``, ``tls``, ``sasl_tls``.
    users
        Passwords of the users, who may log in by SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN.
    """

    cluster: str
    ports: dict[str, int]
    users: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Read the layout of a server's folder; None where there is none yet."""
        path = folder / LAYOUT
        return cls(**orjson.loads(path.read_bytes())) if path.exists() else None

    def write(self, folder: Path) -> None:
        """Keep the layout, readable by its owner alone: it holds passwords."""
        with open(os.open(folder / LAYOUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(orjson.dumps(self.__dict__, option=orjson.OPT_INDENT_2))


class KafkaServer:
    """One Kafka node in a folder.

    The listener ``plain`` needs no password and may do everything; ``sasl`` knows the users; ``tls`` is encrypted; ``sasl_tls`` is both.

    Parameters
    ----------
    folder
        Where its data, settings and log lie; made by the first start.
    port
        Of the listener ``plain``; 0 takes a free one. A server that was started before keeps its own.
    users
        Users that may log in, with their passwords; an empty password is made up. They add the listener ``sasl``.
    tls
        Whether to add the listener ``tls`` (and ``sasl_tls`` where there are users), with a certificate of its own.
    """

    def __init__(self, folder: Path, port: int = 0, users: Mapping[str, str] | None = None, *, tls: bool = False) -> None:
        self.folder = folder.absolute()
        self._port, self._users, self._tls = port, dict(users or {}), tls
        self._process = ServerProcess(folder)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.running

    @property
    def pid(self) -> int:
        """Number of the process that was started last."""
        return self._process.pid

    @property
    def layout(self) -> KafkaLayout:
        """What the server keeps from one start to the next.

        Raises
        ------
        ComponentError
            If it was never started.
        """
        layout = KafkaLayout.of(self.folder)
        if layout is None:
            raise ComponentError(f"there is no Kafka in {self.folder}; start one with fink services up kafka")
        return layout

    def address(self, listener: str = "plain") -> str:
        """Give host and port of a listener, as clients want them in ``bootstrap.servers``."""
        return f"{'localhost' if 'tls' in listener else '127.0.0.1'}:{self.layout.ports[listener]}"

    @property
    def certificate(self) -> Path:
        """The certificate that clients of ``tls`` and ``sasl_tls`` trust (``ssl.ca.location``)."""
        return self.folder / _CERTIFICATE

    def client(self, listener: str = "plain", user: str = "", mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """Give the settings with which a librdkafka client reaches a listener."""
        settings: dict[str, Any] = {"bootstrap.servers": self.address(listener), "security.protocol": PROTOCOLS[listener]}
        if "sasl" in listener:
            settings |= {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": self.layout.users[user]}
        if "tls" in listener:
            settings["ssl.ca.location"] = str(self.certificate)
        return settings

    def up(self) -> None:
        """Start the server where it does not run, and wait until it answers; the first start fetches and formats.

        Raises
        ------
        ComponentError
            If Java or Maven is missing, or the server does not start.
        """
        if self.running:
            return
        classes = f"{jars(_POM, f'kafka-{VERSION}')}/*"
        if KafkaLayout.of(self.folder) is None:
            self._make(classes)
        options = [f"-Xmx{MEMORY}", "-Xms128m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=50"]
        self._process.start([java(), *options, "-cp", classes, "kafka.Kafka", str(self.folder / "server.properties")], self.answers)

    def _make(self, classes: str) -> None:
        """Choose ports, make the certificate, write the settings and format the data folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        users = {name: password or secrets.token_urlsafe(18) for name, password in self._users.items()}
        names = ["plain", "controller", *(["sasl"] if users else []), *(["tls"] if self._tls else [])]
        names += ["sasl_tls"] if users and self._tls else []
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        ports["plain"] = self._port or ports["plain"]
        layout = KafkaLayout(uuid.uuid4().hex[:22], ports, users)
        if self._tls:
            self._make_certificate()
        properties = self.folder / "server.properties"
        properties.touch(mode=0o600)
        properties.write_text(_PROPERTIES + "".join(f"{line}\n" for line in self._settings(layout)))
        format_ = [java(), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classes, "kafka.tools.StorageTool", "format", "--standalone"]
        format_ += ["-t", layout.cluster, "-c", str(properties), *_scram(users)]
        run_to_end(format_, "formatting Kafka's folder")
        layout.write(self.folder)

    def _make_certificate(self) -> None:
        """Make a key with a certificate for the loopback names, and write the certificate as clients want it."""
        store = ["-keystore", str(self.folder / _STORE), "-storetype", "PKCS12", "-storepass", _STORE_PASSWORD, "-alias", "server"]
        names = ["-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1", "-ext", "bc:c"]
        make = [java("keytool"), "-genkeypair", *store, "-keyalg", "RSA", "-keysize", "2048", "-validity", "3650", *names]
        run_to_end(make, "making a certificate")
        run_to_end([java("keytool"), "-exportcert", *store, "-rfc", "-file", str(self.certificate)], "writing the certificate")

    def _settings(self, layout: KafkaLayout) -> list[str]:
        """Give the settings that differ from server to server."""
        places = {name: f"127.0.0.1:{port}" for name, port in layout.ports.items()}
        outside = {name: self._outside(name, port) for name, port in layout.ports.items() if name != "controller"}
        protocols = [f"{name}:{PROTOCOLS[name]}" for name in outside]
        lines = [
            f"log.dirs={self.folder / 'data'}",
            f"listeners={','.join(f'{_listener(name)}://{place}' for name, place in places.items())}",
            f"advertised.listeners={','.join(f'{name}://{place}' for name, place in outside.items())}",
            f"listener.security.protocol.map=CONTROLLER:PLAINTEXT,{','.join(protocols)}",
            f"controller.quorum.bootstrap.servers={places['controller']}",
        ]
        if layout.users:
            lines += ["sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"]
            lines += [line for name in outside if "sasl" in name for line in _logins(name, layout.users)]
        if self._tls:
            store = {"location": self.folder / _STORE, "password": _STORE_PASSWORD, "type": "PKCS12"}
            lines += [f"ssl.keystore.{key}={value}" for key, value in store.items()]
        return lines

    @staticmethod
    def _outside(name: str, port: int) -> str:
        return f"{'localhost' if 'tls' in name else '127.0.0.1'}:{port}"

    def answers(self) -> bool:
        """Whether the server answers a client now."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        client = AdminClient({"bootstrap.servers": self.address(), "log_level": 0})
        try:
            return bool(client.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    def down(self) -> None:
        """Stop the server where it runs, and wait until it has ended."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the server, as a power cut would."""
        self._process.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server and start it again on the same ports, with the same data."""
        self.down()
        self.up()

    def status(self) -> dict[str, Any]:
        """Say whether the server runs and answers, and where."""
        layout = KafkaLayout.of(self.folder)
        if layout is None:
            return {"component": "kafka", "running": False, "folder": str(self.folder)}
        running = self.running
        places = {name: self.address(name) for name in layout.ports if name != "controller"}
        record = {"component": "kafka", "running": running, "answers": running and self.answers(), "pid": self.pid if running else None}
        record |= {"listeners": places, "folder": str(self.folder)}
        record |= {"users": sorted(layout.users), "passwords": str(self.folder / LAYOUT)} if layout.users else {}
        return record | ({"certificate": str(self.certificate)} if self.certificate.exists() else {})


def _listener(name: str) -> str:
    return "CONTROLLER" if name == "controller" else name


def _scram(users: dict[str, str]) -> list[str]:
    """Give the arguments that enter users when the folder is formatted."""
    kinds = ("SCRAM-SHA-256", "SCRAM-SHA-512")
    pairs = [(kind, name, password) for name, password in users.items() for kind in kinds]
    return [part for kind, name, password in pairs for part in ("--add-scram", f"{kind}=[name={name},password={password}]")]


def _logins(listener: str, users: dict[str, str]) -> Sequence[str]:
    """Give the settings by which a listener knows its users."""
    known = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    security = "org.apache.kafka.common.security"
    at = f"listener.name.{listener}"
    return [
        f"{at}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required {known};",
        f"{at}.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;",
        f"{at}.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;",
    ]
