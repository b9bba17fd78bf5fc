"""On a real S3 server, here on loopback: what was pushed comes back, or a user is told why not."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import boto3
import pytest
import requests

from support.project import snakemake
from support.versions import commit, dvc, git

ALL = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ALL]})


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a server."""
    log = tmp_path_factory.mktemp("s3") / "log"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("w") as written:
        process = subprocess.Popen(words, stdout=written, stderr=written)
    until = time.monotonic() + 120
    while not (found := re.search(r"http://127\.[\d.:]+", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    yield found[0]
    process.send_signal(signal.SIGINT)
    process.wait()


@pytest.fixture(scope="module")
def user(address):
    """One who may use the server, as no other may."""
    anybody = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    anybody |= {"endpoint_url": address, "region_name": "us-east-1"}
    boto3.client("s3", **anybody).create_bucket(Bucket="bucket")
    iam = boto3.client("iam", **anybody)
    iam.create_user(UserName="user")
    iam.put_user_policy(UserName="user", PolicyName="all", PolicyDocument=POLICY)
    key = iam.create_access_key(UserName="user")["AccessKey"]
    requests.post(f"{address}/moto-api/reset-auth", data=b"0", timeout=60).raise_for_status()
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="module")
def shared(fresh, address, user, tmp_path_factory):
    """A repository whose results are in a bucket."""
    folder = shutil.copytree(fresh, tmp_path_factory.mktemp("shared") / "project")
    dvc(folder, "remote", "add", "-f", "-d", "storage", "s3://bucket/path")
    dvc(folder, "remote", "modify", "storage", "endpointurl", address)
    commit(folder, "on S3")
    dvc(folder, "push", **user)
    return folder


def test_a_clone_has_nothing_to_do(shared, user, tmp_path):
    git(shared, "clone", "-q", str(shared), str(tmp_path / "clone"))
    dvc(tmp_path / "clone", "pull", **user)
    assert "Nothing to be done" in snakemake(tmp_path / "clone", "-n")


def test_a_wrong_credential_and_an_unreachable_remote_are_named_and_lose_nothing(
    shared, user, tmp_path
):
    git(shared, "clone", "-q", str(shared), str(tmp_path / "clone"))
    said = dvc(tmp_path / "clone", "pull", fails=True, **user | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "failed to connect to s3 (bucket/path/files/md5) - Forbidden" in said
    assert "Traceback" not in said

    nowhere = "http://127.0.0.1:1"
    dvc(shared, "remote", "modify", "--local", "storage", "endpointurl", nowhere)
    for what in ("push", "fetch"):
        if what == "fetch":
            (shared / ".dvc/cache").rename(tmp_path / "cache")
        said = dvc(shared, what, fails=True, **user)
        assert f'Could not connect to the endpoint URL: "{nowhere}/bucket' in said
        assert "Traceback" not in said
    (tmp_path / "cache").rename(shared / ".dvc/cache")
    assert "No changes" in dvc(shared, "data", "status")
