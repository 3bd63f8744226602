/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Automatically generated C representation of lazymmu automaton
 * For further information about this format, see kernel documentation:
 *   Documentation/trace/rv/deterministic_automata.rst
 */

enum states_lazymmu {
	out_lazymmu = 0,
	in_lazymmu,
	state_max_lazymmu
};

#define INVALID_STATE state_max_lazymmu

enum events_lazymmu {
	enter_lazymmu = 0,
	flush_lazymmu,
	leave_lazymmu,
	sleep_lazymmu,
	event_max_lazymmu
};

struct automaton_lazymmu {
	char *state_names[state_max_lazymmu];
	char *event_names[event_max_lazymmu];
	unsigned char function[state_max_lazymmu][event_max_lazymmu];
	unsigned char initial_state;
	bool final_states[state_max_lazymmu];
};

static const struct automaton_lazymmu automaton_lazymmu = {
	.state_names = {
		"out",
		"in"
	},
	.event_names = {
		"enter",
		"flush",
		"leave",
		"sleep"
	},
	.function = {
		{
			in_lazymmu,
			out_lazymmu,
			INVALID_STATE,
			out_lazymmu,
		},
		{
			INVALID_STATE,
			in_lazymmu,
			out_lazymmu,
			INVALID_STATE,
		},
	},
	.initial_state = out_lazymmu,
	.final_states = { 1, 0 },
};
