"""An object store that speaks S3, on this machine's loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

WITHOUT = "NOT TESTED: tables on an object store; pip install -r requirements-dev.txt tests it"
BUCKET = "bucket"


@dataclass(frozen=True)
class ObjectStore:
    """A server with one bucket, and what a client is told of it."""

    client: Any
    environment: dict[str, str]

    def objects(self) -> list[str]:
        """Names of all objects."""
        found = self.client.list_objects_v2(Bucket=BUCKET)
        return [each["Key"] for each in found.get("Contents", [])]

    def allow(self, *, but: str = "") -> None:
        """Let everybody do all but one thing in the bucket."""
        self.client.delete_bucket_policy(Bucket=BUCKET)
        if but:
            what = {"Effect": "Deny", "Principal": "*", "Action": [f"s3:{but}"]}
            rule = {**what, "Resource": f"arn:aws:s3:::{BUCKET}/*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
            self.client.put_bucket_policy(Bucket=BUCKET, Policy=policy)


def settings(endpoint: str) -> dict[str, str]:
    """The variables that name a store, and nothing that is asked elsewhere for keys."""
    return {
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "WELLSPRING_LANCE": "s3://",
    }


@contextmanager
def serving() -> Iterator[ObjectStore]:
    """A store for the time of a block; skips the test where its package is not installed."""
    server_of = pytest.importorskip("moto.server", reason=WITHOUT).ThreadedMotoServer
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        environment = settings("http://{}:{}".format(*server.get_host_and_port()))
        boto3 = pytest.importorskip("boto3", reason=WITHOUT)
        client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id="somebody",
            aws_secret_access_key="secret",
        )
        client.create_bucket(Bucket=BUCKET)
        yield ObjectStore(client, environment)
    finally:
        server.stop()
