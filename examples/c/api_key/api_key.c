// An API key in a header.

#include "portcullis.h"

static pc_text key;

pc_text pc_schema(void) {
  return PC_TEXT("{\"type\": \"object\", \"required\": [\"key\"], \"additionalProperties\": false, \"properties\": {\"key\": {"
                 "\"type\": \"string\", \"minLength\": 1, \"writeOnly\": true, \"description\": \"What clients send in X-Api-Key.\"}}}");
}

pc_text pc_configure(pc_text settings) {
  key = pc_setting(settings, "key");
  return key.size > 0 ? (pc_text){0} : PC_TEXT("settings.key: must be text that isn't empty");
}

pc_decision pc_authenticate(pc_request request) {
  pc_texts values = pc_header(request, "x-api-key");
  if (values.size == 0) return pc_not_mine(NULL);
  if (values.size > 1 || !pc_equal(values.start[0], key)) return pc_unauthenticated(PC_TEXT("wrong API key"), NULL);
  return pc_grant(PC_TEXT("api"));
}
