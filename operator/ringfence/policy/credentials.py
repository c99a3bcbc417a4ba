"""What known credentials look like: a closed list, so that digests, UUIDs, names and public keys are none.

The comment names the issuer's page about such keys. Prefixes are the issuers'; where a page gives no length, ours is a
lower bound. Entropy is not looked at: what is long and random is mostly a digest. Why no library: docs/adr/0002.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

SHORTEST: Final = 16
"""No shape is shorter, so shorter texts are not looked at."""
_PLAIN_TAIL: Final = 5
"""Fewer different characters in the last 16 than this are `xxxx` or `0000`: an example, not a key. Amazon's manuals end
theirs with EXAMPLE."""

_PEM_LABELS: Final = ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "PGP ")
_WORD: Final = "[A-Za-z0-9_-]"
_ALNUM: Final = "[A-Za-z0-9]"
_HEX: Final = "[0-9a-f]"


class Shape(NamedTuple):
    """`kind`: with its article, for a sentence. `pattern`: begins with a literal; nothing in it backtracks far."""

    kind: str
    pattern: str


# Their first 16 characters are letters, digits, _ and -, which makes them cheap to rule out.
WORDS: Final = (
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
    Shape("an AWS access key", r"A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}"),
    # docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html
    Shape("an Amazon Bedrock API key", r"(?:ABSK[A-Za-z0-9+/]{100}|bedrock-api-key-[A-Za-z0-9+/]{40})"),
    # docs.cloud.google.com/docs/authentication/api-keys
    Shape("a Google API key", rf"AIza{_WORD}{{35}}"),
    # developers.google.com/identity/protocols/oauth2
    Shape("a Google OAuth client secret", rf"GOCSPX-{_WORD}{{24}}"),
    # docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
    Shape("a GitHub token", r"g(?:h[pousr]_|ithub_pat_)[A-Za-z0-9_]{36}"),
    # docs.gitlab.com/security/tokens/#token-prefixes
    Shape("a GitLab token", rf"gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-{_WORD}{{20}}"),
    # docs.slack.dev/authentication/tokens
    Shape("a Slack token", rf"x(?:ox[a-z]-{_WORD}{{20}}|app-[0-9]-{_WORD}{{20}})"),
    # docs.stripe.com/keys, docs.stripe.com/webhooks
    Shape("a Stripe key", rf"(?:sk|rk)_(?:live|test)_{_ALNUM}{{16}}"),
    Shape("a webhook signing secret", r"whsec_[A-Za-z0-9+/]{24}"),
    # platform.claude.com/docs/en/api/overview
    Shape("an Anthropic API key", rf"sk-ant-[a-z]{{2,10}}[0-9]{{2}}-{_WORD}{{24}}"),
    # platform.openai.com/docs/api-reference/authentication; the same beginning is used by openrouter.ai/docs/api-keys,
    # api-docs.deepseek.com, langfuse.com/docs and docs.litellm.ai/docs/proxy/virtual_keys. A digit tells it from words.
    Shape("an API key of a model provider", rf"sk-(?:[a-z]{{2,10}}-)?(?=[A-Za-z_-]{{0,32}}[0-9]){_WORD}{{20}}"),
    # huggingface.co/docs/hub/security-tokens
    Shape("a Hugging Face token", rf"hf_{_ALNUM}{{30}}"),
    # console.groq.com/docs/quickstart
    Shape("a Groq API key", rf"gsk_{_ALNUM}{{40}}"),
    # replicate.com/docs/topics/security/api-tokens
    Shape("a Replicate token", rf"r8_{_ALNUM}{{37}}"),
    # docs.x.ai/docs/tutorial
    Shape("an xAI API key", rf"xai-{_ALNUM}{{60}}"),
    # docs.perplexity.ai/getting-started/quickstart
    Shape("a Perplexity API key", rf"pplx-{_ALNUM}{{40}}"),
    # docs.nvidia.com/nim/large-language-models/latest/getting-started.html
    Shape("an NVIDIA API key", rf"nvapi-{_WORD}{{60}}"),
    # docs.langchain.com/langsmith/create-account-api-key
    Shape("a LangSmith API key", rf"lsv2_(?:pt|sk)_{_HEX}{{32}}"),
    # docs.tavily.com/documentation/api-reference/introduction
    Shape("a Tavily API key", rf"tvly-(?=[A-Za-z_-]{{0,32}}[0-9]){_WORD}{{24}}"),
    # github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format
    Shape("an npm token", rf"npm_{_ALNUM}{{36}}"),
    # the help page of the Python Package Index about API tokens: a macaroon of version 2 in base64
    Shape("a PyPI token", rf"pypi-AgE{_WORD}{{50}}"),
    # docs.docker.com/security/access-tokens
    Shape("a Docker token", rf"dckr_(?:pat|oat)_{_WORD}{{20}}"),
    # docs.digitalocean.com/reference/api/create-personal-access-token
    Shape("a DigitalOcean token", rf"do[opr]_v1_{_HEX}{{64}}"),
    # docs.databricks.com/aws/en/dev-tools/auth/pat
    Shape("a Databricks token", rf"dapi{_HEX}{{32}}"),
    # shopify.dev/changelog/length-of-the-shopify-access-token-is-increasing
    Shape("a Shopify token", rf"shp(?:at|ca|pa|ss)_{_HEX}{{32}}"),
    # grafana.com/docs/grafana/latest/administration/service-accounts, github.com/grafana/grafana/pull/53671
    Shape("a Grafana token", rf"gl(?:sa_{_ALNUM}{{32}}_{_HEX}{{8}}|c_eyJ{_WORD}{{20}})"),
    # docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys
    Shape("a New Relic key", r"NRAK-[A-Z0-9]{27}"),
    # linear.app/developers/graphql
    Shape("a Linear API key", rf"lin_api_{_ALNUM}{{32}}"),
    # developers.notion.com/reference/authentication
    Shape("a Notion token", rf"ntn_{_ALNUM}{{40}}"),
    # support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account
    Shape("an Atlassian token", rf"ATATT3{_WORD}{{60}}"),
    # core.telegram.org/bots/api#authorizing-your-bot. A number stands before it; the search begins at the colon between
    Shape("a Telegram bot token", rf"AA(?<=[0-9]{{8}}:AA){_WORD}{{33}}"),
    # github.com/C2SP/C2SP/blob/main/age.md
    Shape("an age private key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    # RFC 7468 in base64, as files are put into variables
    Shape(
        "a private key in base64",
        "(?:"
        + "|".join(b64encode(f"-----BEGIN {label}PRIVATE ".encode()).decode().rstrip("=")[:-2] for label in _PEM_LABELS)
        + ")",
    ),
    # RFC 7519 and RFC 7515: two JSON objects and a signature; `{"` in base64 is eyJ
    Shape("a JSON Web Token", rf"eyJ{_WORD}{{13,}}\.eyJ{_WORD}{{10,}}\.{_WORD}{{16}}"),
)
OTHERS: Final = (
    # RFC 7468, RFC 9580 (PGP), github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
    Shape("a private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"),
    # www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys
    Shape("a SendGrid API key", rf"SG\.{_WORD}{{22}}\.{_WORD}{{43}}"),
    # developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes
    Shape("a Vault token", rf"hv[sbr]\.{_WORD}{{24}}"),
    # developers.google.com/identity/protocols/oauth2
    Shape("a Google OAuth token", rf"ya29\.{_WORD}{{24}}"),
    # docs.doppler.com/docs/service-tokens
    Shape("a Doppler token", rf"dp\.(?:pt|st|sa|ct|scim|audit)\.(?:[a-z0-9_-]{{2,35}}\.)?{_ALNUM}{{40}}"),
    # docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    Shape(
        "a Slack webhook", rf"hooks\.slack\.com/(?:services|workflows|triggers)/[TE]{_ALNUM}{{7,}}/[A-Za-z0-9/]{{16}}"
    ),
    # learn.microsoft.com/azure/storage/common/storage-configure-connection-string, .../service-bus-messaging
    Shape("an Azure key", r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{42}"),
    # RFC 6750; the scheme's name in any spelling
    Shape("a bearer token", r"[Bb](?:earer|EARER) (?=[A-Za-z_-]{0,32}[0-9])[A-Za-z0-9._~+/-]{20}"),
    # RFC 3986, 3.2.1: a user and a password before the host
    Shape("a URL with a password", r"//[^\s/?#@:]{0,255}:[^\s/?#@]{1,1024}@"),
)

_BOUNDARY: Final = "[^A-Za-z0-9_-]"
"""What comes before a credential, so that the end of a longer word is none. Texts begin with it, too."""
_REFERENCE: Final = re.compile(r"\$\(|\$\{|\$[A-Z_]+$|\{\{|^\{[^{}]*\}$|^<.*>$|%[sv]$")
"""Left for something else to fill in: `$(NAME)` is filled in by Kubernetes itself."""


def looks_like(texts: Sequence[str]) -> bool:
    """Whether any of `texts` may hold a credential. One pass over all of them: nearly always, none does."""
    joined = "\0".join([text for text in texts if len(text) >= SHORTEST])
    return bool(joined) and _any().search("\0" + joined) is not None


def kind(text: str) -> str | None:
    """The kind of credential that is in `text`, such as `an AWS access key`; None where there is none."""
    return next(_kinds(text), None) if len(text) >= SHORTEST else None


def is_reference(text: str) -> bool:
    """Whether something else fills this in."""
    return _REFERENCE.search(text) is not None


def _kinds(text: str) -> Iterator[str]:
    for found in _each().finditer("\0" + text):
        if found.lastindex and not _is_example(found[found.lastindex]):
            yield (*WORDS, *OTHERS)[found.lastindex - 1].kind


def _is_example(found: str) -> bool:
    if found.startswith("//"):
        password = found.partition(":")[2][:-1]
        return is_reference(password) or len(set(password)) == 1
    tail = found[-SHORTEST:]
    return not found.startswith("-----") and (len(set(tail)) < _PLAIN_TAIL or tail.endswith("EXAMPLE"))


@cache
def _any() -> re.Pattern[str]:
    """All shapes in one: made when it is first needed."""
    return _together("|".join(shape.pattern for shape in WORDS), "|".join(shape.pattern for shape in OTHERS))


@cache
def _each() -> re.Pattern[str]:
    """The same with a group for each shape, which is slower and says which it was."""
    words, others = ("|".join(f"({shape.pattern})" for shape in shapes) for shapes in (WORDS, OTHERS))
    return _together(words, others)


def _together(words: str, others: str) -> re.Pattern[str]:
    return re.compile(rf"{_BOUNDARY}(?:(?={_WORD}{{{SHORTEST}}})(?:{words})|{others})")
