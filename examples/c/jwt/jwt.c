// JSON Web Tokens of one issuer, whose keys are fetched by URL. A claim of the token is the user.

#include "tokens.h"

static pc_jwt jwt;
static pc_text user_claim, groups_claim;

#define TEXT(name, doc) "\"" name "\": {\"type\": \"string\", \"description\": \"" doc "\""

pc_text pc_schema(void) {
  return PC_TEXT("{\"type\": \"object\", \"required\": [\"issuer\", \"audiences\", \"jwks_url\"], \"additionalProperties\": false, "
                 "\"properties\": {"
                 TEXT("issuer", "The issuer, exactly as in the claim iss of its tokens.") "}, "
                 "\"audiences\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}, "
                 "\"description\": \"The claim aud must name one of these.\"}, "
                 TEXT("jwks_url", "The URL of the issuer's keys, a JWK Set.") ", \"x-portcullis-grant\": \"http\"}, "
                 TEXT("user_claim", "The claim that is the user's name.") ", \"default\": \"sub\"}, "
                 TEXT("groups_claim", "The claim that lists the user's groups.") "}, "
                 TEXT("min_refresh_interval", "The shortest time between two fetches of the keys.") ", \"default\": \"30s\", "
                 "\"pattern\": \"^[0-9]{1,6}(ms|s|m|h|d)$\"}}}");
}

pc_text pc_configure(pc_text settings) {
  jwt.issuer = pc_setting(settings, "issuer");
  jwt.audiences = pc_setting_texts(settings, "audiences");
  jwt.jwks_url = pc_setting(settings, "jwks_url");
  jwt.min_refresh_seconds = pc_setting_ms(settings, "min_refresh_interval", 30 * 1000) / 1000;
  user_claim = pc_setting(settings, "user_claim");
  if (user_claim.size == 0) user_claim = PC_TEXT("sub");
  groups_claim = pc_setting(settings, "groups_claim");
  return pc_check_jwt(&jwt);
}

pc_decision pc_authenticate(pc_request request) {
  pc_claims claims;
  pc_decision refusal;
  pc_text user, email;
  pc_texts groups = {0};
  if (!pc_token(request, &jwt, &claims, &refusal)) return refusal;
  if (!pc_claim_name(&claims, user_claim, &user, &refusal)) return refusal;
  if (groups_claim.size > 0 && !pc_claim_groups(&claims, groups_claim, &groups, &refusal)) return refusal;
  if (!pc_claim_text(&claims, PC_TEXT("email"), &email, &refusal)) return refusal;
  pc_decision decision = pc_grant(user);
  decision.grant.groups = groups;
  if (email.size > 0) {
    decision.grant.attributes = PC_PAIRS({PC_TEXT("email"), email});
  } else {
    pc_log(PC_DEBUG, PC_TEXT("the token has no email"));
  }
  decision.grant.has_valid_for = claims.remaining > 0;
  decision.grant.valid_for = claims.remaining < 300 ? claims.remaining : 300;
  return decision;
}
