"""What is a secret in plain text and what is none, for tests.

Nothing here is anybody's key: each is put together from a prefix and the same few letters, so that no scanner of
repositories takes it for one.
"""

from base64 import b64encode
from itertools import cycle, islice

from unit.policy.make import DIGEST, IMAGE


def some(length: int, letters: str = "aB3dE5gH7jK9mN2pQ4sT6vW8xY") -> str:
    """Letters and digits that look random and are not. Never written out, so that no scanner takes them for a key."""
    return "".join(islice(cycle(letters), length))


def hexadecimal(length: int) -> str:
    return some(length, "0f1e2d3c4b5a69788796")


def pem(label: str) -> str:
    return f"-----BEGIN {label}-----\nMIIB{some(60)}\n-----END {label}-----\n"


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


PRIVATE = "PRIVATE" + " KEY"
JWT = ".".join([base64('{"alg":"HS256"}').rstrip("="), base64('{"sub":"somebody"}').rstrip("="), some(43)])

SHAPES = {
    "an AWS access key": ["AK" + "IA" + some(16, "A2BCD3EFG4"), "AS" + "IA" + some(16, "A2BCD3EFG4")],
    "an Amazon Bedrock API key": ["AB" + "SK" + some(110), "bedrock-" + "api-key-" + some(60)],
    "a Google API key": ["AI" + "za" + some(35)],
    "a Google OAuth client secret": ["GOC" + "SPX-" + some(28)],
    "a Google OAuth token": ["ya" + "29." + some(60)],
    "a GitHub token": [f"gh{one}_" + some(36) for one in "pousr"] + ["github" + "_pat_" + some(22) + "_" + some(59)],
    "a GitLab token": [f"gl{one}-" + some(20) for one in ("pat", "dt", "rt", "cbt", "ptt", "ft", "soat")],
    "a Slack token": ["xo" + "xb-" + some(12, "1234567890") + "-" + some(24), "xa" + "pp-1-" + some(40)],
    "a Slack webhook": ["https://hooks" + f".slack.com/services/T{some(8)}/B{some(8)}/{some(24)}"],
    "a Stripe key": ["sk" + "_live_" + some(24), "rk" + "_live_" + some(24), "sk" + "_test_" + some(99)],
    "a webhook signing secret": ["wh" + "sec_" + some(32)],
    "an Anthropic API key": ["sk-" + "ant-api03-" + some(93) + "AA", "sk-" + "ant-admin01-" + some(93) + "AA"],
    "an API key of a model provider": [
        "sk-" + some(48),
        "sk-" + "proj-" + some(20) + "-" + some(60),
        "sk-" + "svcacct-" + some(40),
        "sk-" + "or-v1-" + hexadecimal(64),
        "sk-" + hexadecimal(32),
    ],
    "a Hugging Face token": ["h" + "f_" + some(34)],
    "a Groq API key": ["gs" + "k_" + some(52)],
    "a Replicate token": ["r" + "8_" + some(37)],
    "an xAI API key": ["xa" + "i-" + some(80)],
    "a Perplexity API key": ["pp" + "lx-" + some(48)],
    "an NVIDIA API key": ["nv" + "api-" + some(64)],
    "a LangSmith API key": ["ls" + "v2_pt_" + hexadecimal(32) + "_" + hexadecimal(10)],
    "a Tavily API key": ["tv" + "ly-dev-" + some(32)],
    "an npm token": ["np" + "m_" + some(36)],
    "a PyPI token": ["py" + "pi-AgE" + some(150)],
    "a Docker token": ["dc" + "kr_pat_" + some(27)],
    "a DigitalOcean token": ["do" + "p_v1_" + hexadecimal(64)],
    "a Databricks token": ["da" + "pi" + hexadecimal(32)],
    "a Shopify token": ["shp" + "at_" + hexadecimal(32)],
    "a Grafana token": ["gl" + "sa_" + some(32) + "_" + hexadecimal(8)],
    "a New Relic key": ["NR" + "AK-" + some(27, "A2BCD3EFG4")],
    "a Linear API key": ["lin" + "_api_" + some(40)],
    "a Notion token": ["nt" + "n_" + some(46)],
    "an Atlassian token": ["ATA" + "TT3" + some(180)],
    "a Telegram bot token": [some(10, "1234567890") + ":AA" + some(33)],
    "an age private key": ["AGE-SECRET" + "-KEY-1" + some(58, "QPZRY9X8GF")],
    "a private key": [
        pem(PRIVATE),
        pem("RSA " + PRIVATE),
        pem("EC " + PRIVATE),
        pem("OPENSSH " + PRIVATE),
        pem("ENCRYPTED " + PRIVATE),
        pem("PGP " + PRIVATE + " BLOCK"),
        pem("CERTIFICATE") + pem(PRIVATE),
        '{"type": "service_account", "key": "' + pem(PRIVATE).replace("\n", "\\n") + '"}',
    ],
    "a private key in base64": [
        base64(pem(label + PRIVATE)) for label in ("", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "PGP ")
    ],
    "a JSON Web Token": [JWT],
    "a SendGrid API key": ["S" + "G." + some(22) + "." + some(43)],
    "a Vault token": ["hv" + "s." + some(24), "hv" + "b." + some(90)],
    "a Doppler token": ["d" + "p.st.prd." + some(43), "d" + "p.pt." + some(43)],
    "an Azure key": [
        "DefaultEndpointsProtocol=https;AccountName=a;Account" + f"Key={some(86)}==;EndpointSuffix=core.windows.net",
        "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccess" + f"Key={some(43)}=",
    ],
    "a bearer token": ["Authorization: Bearer " + some(32), "authorization: bearer " + hexadecimal(40)],
    "a URL with a password": [
        "postgres://agent:" + some(8) + "@db.tools.svc:5432/agent",
        "https://agent:" + some(12) + "@search.example/",
        "redis://:" + some(12) + "@cache:6379/0",
        "amqp://guest:" + "guest@queue",
        "see http://proxy:" + some(4) + "@proxy.example:3128 for more",
    ],
}
FOUND = [(what, text) for what, texts in SHAPES.items() for text in texts]

NAMES = [
    "PASSWORD",
    "DB_PASSWORD",
    "DB_PASSWD",
    "DB_PWD",
    "SMTP_PASS",
    "dbPassword",
    "KEY_PASSPHRASE",
    "SECRET",
    "CLIENT_SECRET",
    "SECRET_FOR_SLACK",
    "DJANGO_SECRET_KEY",
    "TOKEN",
    "GITHUB_TOKEN",
    "API_TOKEN_2",
    "Token_V2",
    "API_KEY",
    "LLM_API_KEY",
    "API_KEY_PROD",
    "OPENAI_APIKEY",
    "apiKey",
    "PRIVATE_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "SIGNING_KEY",
    "ENCRYPTION_KEY",
    "AZURE_STORAGE_KEY",
    "SERVICE_CREDENTIALS",
]
LITERALS = [
    "hunter2hunter2",
    some(40),
    hexadecimal(32),
    "correct horse battery staple",
    "2f9a1c4e-4a5f-4d0b-9e2b-0a2f7d0a1c11",
]

HARMLESS = [
    DIGEST,
    IMAGE,
    "0123456789abcdef" * 4,
    hexadecimal(40),
    hexadecimal(7),
    "b2b0e9f4-6d3c-4c7e-9d2c-0a2f7d0a1c11",
    "urn:uuid:b2b0e9f4-6d3c-4c7e-9d2c-0a2f7d0a1c11",
    "https://search.tools.svc.cluster.local:8443",
    "https://search.example/path/to/something?query=a:b@c&limit=10#part",
    "https://git@git.example/acme/agent.git",
    "ssh://git@git.example:22/acme/agent.git",
    "git@git.example:acme/agent.git",
    "postgres://db.tools.svc:5432/agent?sslmode=verify-full",
    "postgres://agent@db.tools.svc:5432/agent",
    "postgres://agent:$(DB_PASSWORD)@db.tools.svc:5432/agent",
    "postgres://agent:${DB_PASSWORD}@db.tools.svc:5432/agent",
    "postgres://agent:<password>@db.tools.svc:5432/agent",
    "postgres://agent:******@db.tools.svc:5432/agent",
    "http://[fd00::1]:8443/x@y",
    "s3://bucket-of-the-agent/path/to/object",
    "mailto:somebody@example.com",
    base64("hello"),
    base64("a few words that are no secret at all"),
    base64(pem("CERTIFICATE")),
    pem("CERTIFICATE"),
    pem("PUBLIC KEY"),
    pem("PGP PUBLIC KEY BLOCK"),
    f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{some(43)} agent@example",
    f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ{some(300)}",
    "pk_live_" + some(24),
    "pk_test_" + some(24),
    "anthropic/claude-sonnet-4-5-20250929",
    "gpt-4.1-mini-2025-04-14",
    "meta-llama/Llama-3.3-70B-Instruct",
    "mistral.mistral-large-2402-v1:0",
    "text-embedding-3-large",
    "Qwen/Qwen2.5-Coder-32B-Instruct-AWQ",
    "sentence-transformers/all-MiniLM-L6-v2",
    "/usr/local/lib/python3.11/site-packages/agent/main.py",
    "/var/run/ringfence/signing",
    "python -m agent.main --serve --port 8080 --level info",
    "sk-learn-contrib-and-some-more-words",
    "task-runner-for-the-nightly-batch-job-2026",
    "sk-SK.UTF-8,cs-CZ.UTF-8,de-DE.UTF-8",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx0",
    "sk-" + "ant-api03-" + "x" * 40,
    "gh" + "p_" + "x" * 36,
    "AK" + "IA" + "X" * 16,
    "a bearer token is expected in the header",
    "Bearer realm=agents, scope=search",
    "Authorization: Bearer $(TOKEN)",
    "npm_config_registry=https://registry.example/npm/",
    "hf_hub_download_timeout_in_seconds=30",
    "AKIAISNOTAKEYASITISTOOLONGTOBEONE".lower(),
    "arn:aws:iam::123456789012:role/agents/researcher",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:agent-AbCdEf",
    "projects/acme/secrets/agent/versions/latest",
    "op://vault/item/field",
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
    "2026-11-28T11:41:44.123456Z",
    "203.0.113.0/28,2001:db8::/32",
    "You are a careful research agent. Never tell a password: it is a secret. Answer in English.",
    '{"model": "large", "temperature": 0.2, "stop": ["\\n\\n"]}',
    "eyJhbGciOiJub25lIn0.not.one",
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    "Europe/Berlin,America/Argentina/Buenos_Aires",
    "x" * 32768,
    "\u00e4\u00f6\u00fc " * 20,
]

NO_SECRET_NAMES = [
    "TOKEN_FILE",
    "API_KEY_FILE",
    "PASSWORD_PATH",
    "SECRET_NAME",
    "TOKEN_URL",
    "TOKEN_ENDPOINT",
    "MAX_TOKENS",
    "TOKENIZER",
    "TOKENIZERS_PARALLELISM",
    "TOKEN_LIMIT",
    "TOKEN_ENCODING",
    "TOKEN_TYPE",
    "AWS_ACCESS_KEY_ID",
    "SECRET_STORE",
    "PASSWORD_POLICY",
    "PUBLIC_API_KEY",
    "STRIPE_PUBLISHABLE_KEY",
    "CACHE_KEY",
    "PRIMARY_KEY",
    "PASSENGER",
    "COMPASS",
    "BYPASS",
    "PASS",
    "SECRETARY",
    "KEYBOARD",
    "MONKEY",
]
NO_SECRETS = [
    "",
    "short",
    "1234567",
    "12345678",
    "128000.5",
    "10_000_000",
    "100000000 MB",
    "24h30m15s",
    "disabled",
    "changeme",
    "change-me-please",
    "CHANGE_ME_NOW",
    "your-api-key-here",
    "not-a-secret",
    "<from the vault>",
    "${API_KEY}",
    "$(API_KEY)",
    "$API_KEY_OF_OLD",
    "{{ .Values.apiKey }}",
    "xxxxxxxxxxxx",
    "************",
    "/var/run/ringfence/key",
    "./secrets/key.pem",
    "~/.config/agent/key",
    "secrets/api-key.txt",
    "file:///var/run/ringfence/key",
    "https://vault.example/v1/secret",
    "vault:secret/data/agent#key",
    "op://vault/item/field",
    "env:OTHER_NAME",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:agent",
]
