import hashlib
import hmac

import duckdb
import pytest

from genome_pipeline.privacy import PrivacyKey, forgotten_mark_sql, pseudonym_sql

SECRET = "0123456789abcdef0123456789abcdef"


def test_a_pseudonym_is_the_hmac_that_others_can_make() -> None:
    expected = hmac.new(SECRET.encode(), "Zoë 7".encode(), hashlib.sha256).hexdigest()
    assert PrivacyKey(SECRET).pseudonym("Zoë 7") == expected[:32]


def test_a_known_pseudonym() -> None:
    # RFC 4231, test case 2, but for the length of the key, which RFC 2104 leaves open.
    assert PrivacyKey("Jefe").pseudonym("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"


@pytest.mark.parametrize("secret", [SECRET, "k" * 100], ids=["shorter than a block", "longer than a block"])
def test_the_database_makes_the_same_hashes(secret: str) -> None:
    key = PrivacyKey(secret)
    names = ["c1", "0017", "Zoë 7", "x" * 200]
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {pseudonym_sql('name')}, {forgotten_mark_sql('name')} FROM (SELECT unnest($names) AS name)",
            {"names": names, **key.query_values},
        ).fetchall()
    assert found == [(key.pseudonym(name), key.forgotten_mark(name)) for name in names]


def test_marks_pseudonyms_and_fingerprint_have_nothing_in_common() -> None:
    key = PrivacyKey(SECRET)
    assert key.pseudonym("c1") not in key.forgotten_mark("c1")
    assert PrivacyKey(SECRET + "0").fingerprint != key.fingerprint
    assert SECRET not in repr(vars(PrivacyKey(SECRET)).keys()) + repr(key)
