"""CHI@Edge on loopback: Keystone, Blazar, Zun and Neutron as far as python-chi needs them, for tests and newcomers.

`python -m tests.chi_at_edge` runs it and prints what to export; `running_testbed` runs it in a thread. Containers are
folders in user namespaces in which commands really run, addresses are loopback addresses that really answer.
"""
