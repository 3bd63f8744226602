# SPDX-License-Identifier: GPL-2.0
from ..qemu_config import QemuArchParams, QemuLoader

# The kernel is Xen's PV dom0. It also boots without Xen, with --arch=x86_64.
QEMU_ARCH = QemuArchParams(linux_arch='x86_64',
			   kconfig='''
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_PCI=y
CONFIG_ACPI=y
CONFIG_HYPERVISOR_GUEST=y
CONFIG_PARAVIRT=y
CONFIG_XEN=y
CONFIG_XEN_PV=y
CONFIG_XEN_DOM0=y
CONFIG_HVC_XEN=y''',
			   qemu_arch='x86_64',
			   kernel_path='arch/x86/boot/bzImage',
			   kernel_command_line='console=hvc0',
			   # Dom0 crashes in Xen 4.17 on some of TCG's newer CPU models.
			   extra_qemu_params=[
					   '-machine', 'q35',
					   '-cpu', 'Nehalem',
					   '-m', '2048'],
			   loader=QemuLoader(
					   name='Xen',
					   image='/boot/xen-*.gz',
					   image_env='KUNIT_XEN',
					   command_line='console=com1 com1=115200,8n1 dom0=pv dom0_mem=1024M'))
