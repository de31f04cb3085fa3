import pytest

from flow.adapters.deploying import environment_in, name_of, repository_in, value_of


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("Deploy production", "production"),
        ("Deploy to production", "production"),
        ("deploy-to-staging", "staging"),
        ("deploy_production-eu", "production-eu"),
        ("deploy: test", "test"),
        ("deploy/production", "production"),
        ("shop/deploy-production", "production"),
        ("job with spaces/deploy to qa", "qa"),
        (":rocket: Deploy to production", "production"),
        (":flag-nl: :rocket: Deploy to production", "production"),
        ("🚀 Deploy to production", "production"),
        ("DEPLOY-PROD", "PROD"),
        ("deploy-tooling", "tooling"),
        ("deploy", None),
        ("deploy to", None),
        ("deploy-to-", None),
        ("redeploy production", None),
        ("build-and-deploy-production", None),
        ("Deploy to production now", None),
        ("deployment", None),
        ("", None),
        (None, None),
        ("deploy " + "x" * 300, None),
        ("/" * 400 + "deploy", None),
        ("-" * 400, None),
        (":a:" * 160, None),
        (":-:" * 160, None),
        (":_:a" * 120, None),
        ("deploy" + "-to" * 160, None),
    ],
)
def test_a_name_that_begins_with_deploy_names_the_environment(name, environment):
    assert environment_in(name) == environment


@pytest.mark.parametrize("key", ["DEPLOY_ENVIRONMENT", "deploy-environment", "deployEnvironment", "Deploy_Environment"])
def test_a_value_of_the_build_is_found_however_it_is_spelt(key):
    assert value_of({"other": 1, key: " production "}, "environment") == "production"


@pytest.mark.parametrize("values", [None, {}, {"ENVIRONMENT": "staging"}, {"DEPLOY_ENVIRONMENT": 3}, {"": "x"}])
def test_another_value_says_nothing_of_a_deployment(values):
    assert value_of(values, "environment") is None


@pytest.mark.parametrize(
    ("address", "repository"),
    [
        ("https://code.example/acme/shop", "acme/shop"),
        ("https://user:pass@code.example/acme/shop.git/", "acme/shop"),
        ("git@code.example:acme/shop.git", "acme/shop"),
        ("code.example:group/sub/shop.git", "group/sub/shop"),
        ("ssh://git@code.example:7999/ACME/shop.git", "ACME/shop"),
        ("https://code.example/scm/ACME/shop.git", "ACME/shop"),
        ("https://code.example/acme/my%20shop", "acme/my shop"),
        ("https://code.example/", None),
        ("http://[broken", None),
        ("", None),
        (None, None),
        ("https://code.example/" + "x" * 600, None),
    ],
)
def test_a_repository_is_called_as_its_code_host_calls_it(address, repository):
    assert repository_in(address) == repository


def test_a_name_is_text_of_a_length_that_can_be_kept():
    assert [name_of(value) for value in (" a ", "", "  ", None, 5, "x" * 256)] == ["a", None, None, None, None, None]
