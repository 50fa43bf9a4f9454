# From QEMU's PVH entry (32-bit protected mode, paging off, ebx = start information) to long mode.
.section .note.pvh, "a", @note
	.long 4, 8, 18			# "Xen", XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad _start32

.section .text.boot, "ax", @progbits
.code32
.global _start32
_start32:
	cli
	cld
	mov esp, offset stack_top
	# 0..4 GiB identity: one PML4 entry, 4 page directories of 2 MiB pages
	mov eax, offset pdpt + 3
	mov dword ptr [pml4], eax
	mov ecx, 4
	mov edi, offset pdpt
	mov eax, offset pd + 3
2:	mov dword ptr [edi], eax
	add edi, 8
	add eax, 4096
	loop 2b
	mov ecx, 2048
	mov edi, offset pd
	mov eax, 0x83			# present, writable, 2 MiB
3:	mov dword ptr [edi], eax
	add edi, 8
	add eax, 0x200000
	loop 3b
	# the top GiB holds the devices (BARs, local APIC): uncached
	mov ecx, 512
	mov edi, offset pd + 3 * 4096
4:	or dword ptr [edi], 0x18	# PWT, PCD
	add edi, 8
	loop 4b
	mov eax, offset pml4
	mov cr3, eax
	mov eax, cr4
	or eax, 0x20			# PAE
	mov cr4, eax
	mov ecx, 0xc0000080
	rdmsr
	or eax, 0x100			# EFER.LME
	wrmsr
	mov eax, cr0
	or eax, 0x80000000		# PG
	mov cr0, eax
	lgdt [gdtr]
	# far jump to 64-bit code
	.byte 0xea
	.long start64
	.short 8
.code64
start64:
	xor eax, eax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, offset stack_top
	xor ebp, ebp
	mov edi, ebx
	call start
	ud2

.section .rodata.boot, "a", @progbits
.align 8
gdt:	.quad 0
	.quad 0x00af9b000000ffff	# 64-bit code
gdtr:	.short 15
	.quad gdt
.section .bss.boot, "aw", @nobits
.align 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
	.skip 65536
stack_top:
