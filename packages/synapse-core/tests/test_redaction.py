"""Names and texts that look like secrets are found, and ordinary ones are left alone."""

from typing import Any

import pytest

from synapse_core.redaction import looks_secret, looks_secret_value, redact, secret_values

SECRET_NAMES = [
    "PGPASSWORD",
    "passwords",
    "api_tokens",
    "secrets",
    "AUTHTOKEN",
    "githubtoken",
    "DATABASE_URL",
    "connection_string",
    "ssh_key",
    "passcode",
    "AWS_SECRET_ACCESS_KEY",
    "API_KEY",
    "apiKey",
    "apikey",
    "X-Api-Key",
    "HF_TOKEN",
    "token",
    "accessToken",
    "token2",
    "client_secret",
    "clientsecret",
    "DB_PASSWORD",
    "db-password",
    "passphrase",
    "DB_PWD",
    "dbpwd",
    "DB_PASS",
    "PASSWD",
    "credentials",
    "authorization",
    "AUTH",
    "cookie",
    "SENTRY_DSN",
    "private_key",
    "SSH_PRIVATE_KEY",
    "redis_url",
    "SQLALCHEMY_DATABASE_URI",
    "connectionString",
    "AZURE_STORAGE_KEY",
    "bearer",
    "auth_tokens",
    "MAX_AUTH_TOKEN_SECRET",
]
PLAIN_NAMES = [
    "max_tokens",
    "maxTokens",
    "tokenizer",
    "TOKENIZERS_PARALLELISM",
    "n_tokens",
    "num_input_tokens",
    "max_new_tokens",
    "token_count",
    "pad_token",
    "token_ids",
    "key",
    "monkey",
    "keyboard",
    "author",
    "authors",
    "secretary",
    "dataset",
    "PWD",
    "OLDPWD",
    "forward_pass",
    "bypass",
    "compass",
    "passenger",
    "STORE_URL",
    "url",
    "PATH",
    "HOME",
    "epochs",
    "batch_size",
    "access",
    "keys",
    "primary_key",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_that_promises_a_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", [*PLAIN_NAMES, ""])
def test_a_name_that_does_not(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://ann:hunter2@db.example.com/x", True),
        ("redis://:hunter2@localhost", True),
        ("sk-proj-abcdefghij0123456789", True),
        ("ghp_abcdefghij0123456789", True),
        ("the token gho_abcdefghij0123456789 is bad", True),
        ("AKIAIOSFODNN7EXAMPLE", True),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII", True),
        ("-----BEGIN PRIVATE KEY-----", True),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1", True),
        ("https://example.com:8080/a@b", False),
        ("https://ann@example.com", False),
        ("task-abcdefghijklmnop", False),
        ("s3://bucket/key", False),
        ("-----BEGIN CERTIFICATE-----", False),
        ("eyJ", False),
        ("", False),
    ],
)
def test_a_text_of_a_known_form(text: str, secret: bool) -> None:
    assert looks_secret_value(text) is secret


def test_secret_values_are_those_of_secret_keys_and_of_known_forms_at_any_depth() -> None:
    env: dict[str, Any] = {
        "HF_TOKEN": "hunter2hunter2",
        "RETRIES": 5,
        "API_KEY": 12345678,
        "STORE": {"password": "hunter3", "url": "https://store.example.com"},
        "PASSWORDS": ["hunter4", None],
        "MIRROR": "https://ann:hunter5@example.com",
        "HOME": "/home/ann",
        "COPY": {"API_TOKEN": "hunter2hunter2"},
    }
    assert secret_values(env) == [
        "hunter2hunter2",
        "hunter3",
        "hunter4",
        "https://ann:hunter5@example.com",
        "hunter5",
    ]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("401 for hunter2!", ["hunter2"], "401 for ***!"),
        ("hunter22 and hunter2", ["hunter2", "hunter22"], "*** and ***"),
        ("a.b+c*d (axb+c*d)", ["a.b+c*d"], "*** (axb+c*d)"),
        ("short: abc", ["abc", ""], "short: abc"),
        (repr("line one\nline two"), ["line one\nline two"], "'***'"),
        ("second line only: line two", ["line one\nline two"], "second line only: ***"),
        ("from a file: hunter2.", ["hunter2\n"], "from a file: ***."),
        ("five: 123456", [123456], "five: 123456"),
        ("nothing", [], "nothing"),
    ],
)
def test_redact_replaces_every_value(text: str, values: list[str], expected: str) -> None:
    assert redact(text, values) == expected


def test_redact_of_a_whole_environment() -> None:
    env = {"PGPASSWORD": "correct horse", "NAME": "battery"}
    assert (
        redact("login as battery with 'correct horse' fails", secret_values(env)) == "login as battery with '***' fails"
    )
