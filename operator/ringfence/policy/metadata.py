"""Where clouds hand keys, or what leads to keys, to any program on a machine. No policy opens these addresses.

The whole of link-local is closed besides (`special.py`): entries that lie in it are here for the record and for
messages. Sources are public: the cloud's own pages, else the source text of a client that asks the address.
"""

from dataclasses import dataclass
from typing import Final

from .addresses import Addresses


@dataclass(frozen=True)
class Handout:
    """`gives`: what is to be had at `address`. `source`: where that is written."""

    address: str
    cloud: str
    gives: str
    source: str


_ROLE = "the machine's role: short-lived credentials, and its user data"
_USER_DATA = "user data, keys and passwords of the machine's first start"
_CLOUD_INIT = "cloud-init, doc/rtd/reference/datasources/"

HANDOUTS: Final = (
    Handout("169.254.169.254", "AWS", _ROLE, "EC2 User Guide, instance metadata"),
    Handout("169.254.169.254", "Google Cloud", "tokens of the machine's service account", "Compute Engine, metadata"),
    Handout("169.254.169.254", "Azure", "tokens of managed identities", "Azure Instance Metadata Service"),
    Handout("169.254.169.254", "Oracle Cloud", _ROLE, "cloud-init, DataSourceOracle.py"),
    Handout("169.254.169.254", "OpenStack, Huawei Cloud", _ROLE, f"{_CLOUD_INIT}openstack.rst"),
    Handout("169.254.169.254", "IBM Cloud", "tokens of the machine's identity", "VPC, instance metadata service"),
    Handout("169.254.169.254", "DigitalOcean", _USER_DATA, f"{_CLOUD_INIT}digitalocean.rst"),
    Handout("169.254.169.254", "Hetzner Cloud", _USER_DATA, "Hetzner Cloud API, server metadata"),
    Handout("169.254.169.254", "Vultr", _USER_DATA, f"{_CLOUD_INIT}vultr.rst"),
    Handout("169.254.169.254", "Exoscale", "the same, and at port 8080 passwords", f"{_CLOUD_INIT}exoscale.rst"),
    Handout("169.254.169.254", "Akamai (Linode)", _USER_DATA, f"{_CLOUD_INIT}akamai.rst"),
    Handout("fd00:ec2::254", "AWS", _ROLE, "EC2 User Guide, instance metadata over IPv6"),
    Handout("169.254.170.2", "AWS ECS", "credentials of the task's role", "ECS Developer Guide, task IAM roles"),
    Handout("169.254.170.23", "AWS EKS", "credentials of the pod's role", "EKS User Guide, Pod Identity Agent"),
    Handout("fd00:ec2::23", "AWS EKS", "credentials of the pod's role", "EKS User Guide, Pod Identity Agent"),
    Handout("fd20:ce::254", "Google Cloud", "tokens of the machine's service account", "Compute Engine, metadata"),
    Handout("169.254.169.252", "Google GKE", "the same, from the node's metadata server", "GKE, Dataplane V2"),
    Handout("168.63.129.16", "Azure", "the machine's settings and certificates", "Azure/WALinuxAgent, wire.py"),
    Handout("100.100.100.200", "Alibaba Cloud", _ROLE, "ECS, instance metadata"),
    Handout("fd00:100::100:200", "Alibaba Cloud", _ROLE, "cloud-init, tests of DataSourceAliYun"),
    Handout("192.0.0.192", "Oracle Cloud Classic", "attributes and user data of the machine", "Compute Classic API"),
    Handout("fd00:c1::a9fe:a9fe", "Oracle Cloud", _ROLE, "oci-python-sdk, instance principals"),
    Handout("fe80::a9fe:a9fe", "OpenStack", _USER_DATA, "Neutron, metadata over IPv6"),
    Handout("169.254.0.23", "Tencent Cloud", _ROLE, "Datadog agent, pkg/util/cloudproviders/tencent"),
    Handout("100.96.0.96", "Volcano Engine, BytePlus", _ROLE, "volcengine/cello, credentials"),
    Handout("100.80.80.80", "UCloud", _USER_DATA, "ucloud-sdk-go, metadata"),
    Handout("169.254.42.42", "Scaleway", _USER_DATA, f"{_CLOUD_INIT}scaleway.rst"),
    Handout("fd00:42::42", "Scaleway", _USER_DATA, f"{_CLOUD_INIT}scaleway.rst"),
    Handout("fd00:a9fe:a9fe::1", "Akamai (Linode)", _USER_DATA, f"{_CLOUD_INIT}akamai.rst"),
    Handout("192.80.8.124", "Equinix Metal", _USER_DATA, "kinvolk/lokomotive, blocked_metadata_cidrs"),
    Handout("77.221.156.49", "Aeza", _USER_DATA, f"{_CLOUD_INIT}aeza.rst"),
)

METADATA: Final = Addresses.of(*(one.address for one in HANDOUTS))
